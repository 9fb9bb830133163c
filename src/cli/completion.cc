// numapin completion: scripts for shells, and the lists that they ask for.
#include "cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/completion_scripts.h"
#include "cli/options.h"
#include "cli/session.h"
#include "numapin/doctor.h"
#include "numapin/process.h"
#include "numapin/sources.h"
#include "render/layout.h"
#include "render/machine_words.h"

namespace numapin::cli {
namespace {

struct Options {
  std::string shell, list;
};

/// Lines "WORD<tab>what it is". The driver's library is not loaded: a shell waits for the answer.
Result<std::string> list_of(const std::string& what, const Session& s) {
  std::string text;
  if (what == "machines") {
    for (const auto& machine : builtin_machines()) text += fmt::format("{}\t{}\n", machine.name, machine.description);
    return text;
  }
  if (what == "checks") {
    for (const auto& check : checks()) text += fmt::format("{}\t{}\n", check.id, check.title);
    return text;
  }
  NUMAPIN_TRY(const auto system, discover(s.live, nullptr, s.visible_env()));
  const auto& m = system.machine;
  if (what == "gpus") {
    for (const auto& gpu : m.gpus) {
      const auto where = gpu.numa_nodes ? "node " + gpu.numa_nodes->to_list() : "node unknown";
      text += fmt::format("{}\t{}, {}\n", gpu.index, drawing::gpu_model(gpu), where);
    }
    return text + "all\tevery visible GPU\n";
  }
  for (const auto& user : find_gpu_users(s.live, m, nullptr).users) {
    const auto process = read_process(s.live, user.pid, {.threads = false, .memory = false});
    if (process) text += fmt::format("{}\t{}\n", user.pid, clean(process->name));
  }
  return text;
}

int run_completion(const Options& o, Session& s) {
  if (!o.list.empty()) {
    const auto list = list_of(o.list, s);
    if (!list) return s.report(list.error());
    s.out << *list;
    return kDone;
  }
  if (o.shell.empty())
    return s.report(Error{Error::Kind::kBadInput, "no shell named", "as in: source <(numapin completion bash)"});
  const auto pages = command_pages();
  s.out << (o.shell == "bash" ? bash_completion(pages) : o.shell == "zsh" ? zsh_completion(pages) : fish_completion(pages));
  return kDone;
}

}  // namespace

Runner add_completion(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* shell = app.add_option("shell", o->shell, "The shell")->check(one_of({"bash", "zsh", "fish"}))->type_name("bash|zsh|fish");
  app.add_option("--list", o->list, "Print what the scripts offer, a line each: machines, gpus, processes, checks")
      ->check(one_of({"machines", "gpus", "processes", "checks"}))->type_name("WHAT")->excludes(shell);
  set_examples(app,
               "  source <(numapin completion bash)                                   # in this shell, or in ~/.bashrc\n"
               "  numapin completion zsh > ~/.zfunc/_numapin                          # with ~/.zfunc in $fpath\n"
               "  numapin completion fish > ~/.config/fish/completions/numapin.fish\n");
  return [o](Session& s) { return run_completion(*o, s); };
}

}  // namespace numapin::cli
