// numapin inspect: where running GPU processes really are.
#include "cli/inspect.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "cli/inspection.h"
#include "cli/options.h"
#include "cli/session.h"
#include "numapin/process.h"
#include "render/inspect.h"

namespace numapin::cli {
namespace {

struct Options {
  std::vector<std::string> targets;
  std::string machine;
  bool json = false, tree = false, threads = false, numastat = false, taskset = false;
  bool sample = false, exact = false;
};

constexpr const char* kExamples =
    "  numapin inspect                    every process that uses a GPU, with its children\n"
    "  numapin inspect --threads 4242     each thread of process 4242\n"
    "  numapin inspect --numastat python  what numastat -p python prints\n"
    "\n"
    "Exit status 0: all are where they belong; 1: one is not, or may be moved away; 2: wrong usage.";

/// Whoever `word` means: a process number, or a part of names and command lines (as numastat -p takes it).
Result<std::vector<int>> find_targets(const FileTree& tree, const std::string& word) {
  if (const auto pid = parse_number<int>(word)) return std::vector<int>{*pid};
  std::vector<int> found;
  for (const int pid : list_processes(tree)) {
    if (pid == getpid()) continue;
    const auto p = read_process(tree, pid, {.threads = false, .memory = false});
    if (p && (p->name + " " + p->command).find(word) != std::string::npos) found.push_back(pid);
  }
  if (found.empty())
    return fail(Error::Kind::kNotFound, fmt::format("inspect '{}': no process has it in its name or command line", word),
                "give a process number, or no name at all to see every process that uses a GPU");
  return found;
}

Result<Inspector> inspect(const Options& o, const FileTree& tree, const Machine& machine, const GpuUsers& users) {
  auto inspector = make_inspector(tree, machine, users);
  inspector.counting = o.sample ? Counting::kSample : o.exact || o.numastat ? Counting::kExact : Counting::kAsNeeded;
  if (o.targets.empty()) inspector.add_users(users);
  for (const auto& target : o.targets) {
    NUMAPIN_TRY(const auto pids, find_targets(tree, target));
    for (const int pid : pids) {
      const auto done = inspector.add(pid, 0, o.tree, {});
      if (!done && pids.size() == 1)
        return fail(done.error().kind, fmt::format("inspect process {}: {}", pid,
                                                   done.error().kind == Error::Kind::kNotFound ? "there is none" : done.error().message));
    }
  }
  inspector.tell_of_shared_cores();
  return inspector;
}

bool is_problem(const Inspection& i) {
  return i.verdict.state == PlacementState::kWrong || i.verdict.state == PlacementState::kLoose;
}

int run(const Options& o, Session& session) {
  auto system = session.system(o.machine);
  if (!system) return session.report(system.error());
  const auto users = find_gpu_users(session.live, system->machine, session.nvml(), o.targets.empty());
  auto result = inspect(o, session.live, system->machine, users);
  if (!result) return session.report(result.error());
  const auto& list = result->list;
  if (o.numastat || o.taskset) {
    std::vector<ProcessInfo> processes;
    for (const auto& i : list) processes.push_back(i.process);
    if (o.numastat) session.out << numastat_text(system->machine, processes);
    if (o.taskset)
      for (const auto& p : processes) session.out << taskset_text(p);
    return kDone;
  }
  if (o.json) {
    session.out << inspect_json(system->machine, list, users.notes);
  } else {
    InspectStyle style;
    style.width = session.width;
    style.unicode = session.unicode_out;
    style.color = session.color_out;
    style.threads = o.threads;
    session.out << inspect_text(system->machine, list, style);
    if (list.empty()) session.out << "No process that uses a GPU was found.\n";
    for (const auto& note : users.notes) session.say(note);
  }
  return std::any_of(list.begin(), list.end(), is_problem) ? kFailed : kDone;
}

}  // namespace

Runner add_inspect(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("process", o->targets, "Process numbers, or parts of names and command lines; none: all that use a GPU")
      ->type_name("PID|NAME...");
  app.add_flag("--tree", o->tree, "Also the processes that descend from those named");
  app.add_flag("--threads", o->threads, "A line for each thread");
  auto* json = app.add_flag("--json", o->json, "Print JSON (docs/json.md)");
  auto* numastat = app.add_flag("--numastat", o->numastat, "The table that numastat -p prints");
  auto* sample = app.add_flag("--sample", o->sample, "Estimate memory from a random sample of pages instead of counting (beyond 64 GiB: default)");
  app.add_flag("--exact", o->exact, "Count all memory, however large")->excludes(sample);
  app.add_flag("--taskset", o->taskset, "The line that taskset -cp prints")->excludes(json)->excludes(numastat);
  json->excludes(numastat);
  app.add_option("--machine", o->machine, "Judge against this recorded machine instead of the live one")->type_name("FILE|NAME");
  set_examples(app, kExamples);
  return [o](Session& session) { return run(*o, session); };
}

}  // namespace numapin::cli
