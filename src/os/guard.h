// Runs work in a child process such that whatever ends it, or us, nothing that descended from it stays behind.
#pragma once

#include <functional>

#include "numapin/result.h"

namespace numapin {

/// Forks; the child runs `body` in a process group of its own and exits with what it returns; the parent hands SIGINT,
/// SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP and SIGCONT on to it, each once, and returns its exit status
/// (128+N when signal N ended it). Both are subreapers, so a process that a descendant leaves behind becomes a child of
/// one of them, also when it left its session: it is killed before this returns. Children that this process had before
/// are let be, and signals that were ignored stay ignored. When the parent dies, by SIGKILL too,
/// the child gets SIGHUP and finds parent_is_gone().
Result<int> run_guarded(const std::function<int()>& body);

/// In the body: true once the process that called run_guarded() has died.
bool parent_is_gone();

/// A child of this process is there, or has ended and was not waited for.
bool has_children();
/// Kills with `signal` every child of this process.
void kill_children(int signal);
/// SIGKILL to every child, and to every process that falls to us by their death, until there is none.
void end_all_children();

}  // namespace numapin
