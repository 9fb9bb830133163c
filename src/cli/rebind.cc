// numapin rebind: moves a running job to the node of its GPUs.
#include "cli/rebind.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "base/text.h"
#include "base/units.h"
#include "cli/options.h"
#include "cli/rebind_outcome.h"
#include "cli/rebind_state.h"
#include "cli/rebind_target.h"
#include "cli/session.h"
#include "cli/write_file.h"
#include "numapin/plan.h"
#include "plan/policy_text.h"
#include "render/layout.h"

namespace numapin::cli {
namespace {

constexpr const char* kExamples =
    "  numapin rebind 4242                  # beside its GPUs: threads, children, memory\n"
    "  numapin rebind --all-gpu --dry-run   # what would change for each GPU process\n"
    "  numapin rebind 4242 --node 1         # to node 1, whatever it uses\n"
    "  numapin rebind 4242 --cpu-list 0-7   # masks only, as taskset -acp 0-7 4242\n"
    "\n"
    "The old masks are kept in a file first; numapin rebind --undo FILE restores them.\n"
    "Exit status 0: done, or nothing to do; 1: a thread, or a tenth of the memory,\n"
    "could not be moved; 2: wrong usage.\n";

// ---- words ----------------------------------------------------------------------------------------------------------------

std::string who(const ProcessChange& p) { return fmt::format("process {} ({})", p.pid, clean(p.name)); }

std::string count_words(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::uint64_t bytes_to_move(const ProcessChange& p) {
  std::uint64_t bytes = 0;
  for (const auto& move : p.moves) bytes += move.bytes;
  return bytes;
}

NodeSet nodes_left(const ProcessChange& p) {
  NodeSet nodes;
  for (const auto& move : p.moves) nodes.insert(NodeId{move.from});
  return nodes;
}

NodeSet nodes_reached(const ProcessChange& p) {
  NodeSet nodes;
  for (const auto& move : p.moves) nodes.insert(NodeId{move.to});
  return nodes;
}

/// "12 threads to CPUs 0-1,4-5, 2 of them keep the shape of their masks"
std::string threads_text(const ProcessChange& p) {
  CpuSet cpus;
  std::size_t changed = 0, shaped = 0;
  for (const auto& t : p.threads) {
    if (t.before == t.after) continue;
    ++changed;
    cpus |= t.after;
    if (t.own_shape) ++shaped;
  }
  if (changed == 0) return "";
  auto text = fmt::format("{} to CPUs {}", count_words(changed, "thread"), short_list(cpus));
  if (shaped > 0) text += fmt::format(", {} of them with the shape of {} own mask", shaped, shaped == 1 ? "its" : "their");
  return text;
}

std::string plan_text(const ProcessChange& p) {
  std::vector<std::string> parts;
  if (const auto text = threads_text(p); !text.empty()) parts.push_back(text);
  for (const auto& move : p.moves)
    parts.push_back(fmt::format("{} from node {} to node {}", size_text(move.bytes), move.from, move.to));
  return join(parts, "; ");
}

/// "64 MiB moved to node 0 at 3.1 GB/s; 12 MiB stayed: shared 8 MiB, busy or pinned 4 MiB"
std::string memory_text(const ProcessChange& p, const MemoryOutcome& o) {
  auto text = fmt::format("{} moved to {}", size_text(o.moved()), node_words(nodes_reached(p)));
  if (const auto rate = o.bytes_per_second()) text += fmt::format(" at {:.2g} GB/s", *rate / 1e9);
  if (o.timing.error != 0) text += fmt::format("; migrate_pages: {}", std::strerror(o.timing.error));
  if (o.stayed == 0) return text;
  text += fmt::format("; {} stayed", size_text(o.stayed));
  std::vector<std::string> reasons;
  for (const auto& [reason, bytes] : o.stayed_by_reason()) reasons.push_back(fmt::format("{} {}", reason, size_text(bytes)));
  return text + (reasons.empty() ? ": the kernel gives no reason" : ": " + join(reasons, ", "));
}

// ---- pages ----------------------------------------------------------------------------------------------------------------

class ProgressLine {
 public:
  explicit ProgressLine(std::uint64_t total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  void show(std::ostream& err, std::uint64_t done) {
    done = std::min(done, total_);  // the kernel's count is of the whole machine
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double rate = static_cast<double>(done) / seconds;
    auto text = fmt::format("moving {} of {}, {:.2g} GB/s", size_text(done), size_text(total_), rate / 1e9);
    if (done > 0) text += fmt::format(", {:.0f} s left", static_cast<double>(total_ - done) / rate);
    err << '\r' << padded(text, 70) << std::flush;
    shown_ = true;
  }
  void clear(std::ostream& err) const {
    if (shown_) err << '\r' << std::string(70, ' ') << '\r' << std::flush;
  }

 private:
  std::uint64_t total_;
  std::chrono::steady_clock::time_point start_;
  bool shown_ = false;
};

/// The process's own bytes on `nodes` as they are now; nothing when it has ended.
std::optional<std::uint64_t> own_bytes_on(const Session& session, int pid, const NodeSet& nodes) {
  const auto p = read_process(session.live, pid, {.threads = false, .memory = true});
  if (!p || !p->memory) return std::nullopt;
  std::uint64_t bytes = 0;
  for (const auto& [node, count] : p->memory->own())
    if (nodes.contains(NodeId{node})) bytes += count;
  return bytes;
}

MemoryOutcome move_memory(RebindKernel& kernel, const Session& session, const ProcessChange& p) {
  MemoryOutcome o;
  o.asked = bytes_to_move(p);
  const auto from = nodes_left(p);
  ProgressLine line(o.asked);
  std::function<void(std::uint64_t)> progress;
  if (isatty(STDERR_FILENO)) progress = [&](std::uint64_t done) { line.show(session.err, done); };
  o.timing = migrate(kernel, p.pid, p.moves, progress);
  line.clear(session.err);
  // It may have made new pages meanwhile: no more than it had counts as left behind.
  const auto left = [&] { return std::min(own_bytes_on(session, p.pid, from).value_or(0), o.asked); };
  o.stayed = left();
  if (o.stayed == 0) return o;
  o.why = ask_why(kernel, p.pid, stray_ranges(session.live, p.pid, from), from, p.moves.front().to);
  if (o.why.moved_after_all > 0) o.stayed = left();
  return o;
}

// ---- masks ----------------------------------------------------------------------------------------------------------------

/// Forks of a gigabyte of touched memory take some 10 ms: the page tables are copied.
constexpr std::chrono::milliseconds kForkTime{30};

void let_forks_end() { std::this_thread::sleep_for(kForkTime); }

// ---- rebind ---------------------------------------------------------------------------------------------------------------

int show_plan(const RebindOptions& o, const RebindCrowd& crowd, const std::vector<ProcessChange>& changes, const Session& session) {
  if (o.json) {
    session.out << to_json(RebindOutcome::planned(changes, crowd.notes()));
    return kDone;
  }
  for (const auto& p : changes) {
    const auto text = plan_text(p);
    session.out << who(p) << ": " << (text.empty() ? "nothing to do: it is there already" : "would move " + text) << '\n';
    for (const auto& warning : p.warnings) session.warn(warning);
  }
  for (const auto& note : crowd.notes()) session.say(note);
  return kDone;
}

/// What the kernel did not do as asked; true when that is a failure.
bool tell_losses(const BindReport& report, const Session& session) {
  std::map<std::pair<int, int>, std::size_t> refused;  // process, errno
  for (const auto& r : report.refused) ++refused[{r.pid, r.error}];
  for (const auto& [what, count] : refused)
    session.warn(fmt::format("process {}: {} not moved: {}", what.first, count_words(count, "thread"), std::strerror(what.second)));
  if (!report.left_out.empty())
    session.warn(fmt::format("the kernel left out CPUs {}: they are offline or not in the process's cpuset", short_list(report.left_out)));
  if (!report.settled)
    session.warn(fmt::format("new threads appeared in each of {} passes: some may have the old mask; run it again", report.passes));
  return !report.refused.empty() || !report.settled;
}

std::string outcome_text(const ProcessOutcome& p) {
  const auto threads = threads_text(p.change);
  const auto memory = p.memory ? memory_text(p.change, *p.memory) : "";
  if (threads.empty() && memory.empty()) return "nothing to do: it is there already";
  return threads + (threads.empty() || memory.empty() ? "" : "; ") + memory;
}

/// The memory of each process, and a line for each as soon as it has moved.
std::vector<ProcessOutcome> move_all_memory(RebindKernel& kernel, const RebindCrowd& crowd, const BindReport& report,
                                            const Session& session, bool lines) {
  std::vector<ProcessOutcome> outcomes;
  for (const auto& change : report.changes) {
    auto& p = outcomes.emplace_back(ProcessOutcome{change, std::nullopt});
    if (!change.moves.empty() && crowd.alive(change.pid)) p.memory = move_memory(kernel, session, change);
    if (lines) session.out << who(change) << ": " << outcome_text(p) << '\n';
    for (const auto& warning : change.warnings) session.warn(warning);
  }
  return outcomes;
}

int rebind(const RebindOptions& o, const Session& session) {
  auto crowd = RebindCrowd::make(o, session);
  if (!crowd) return session.report(crowd.error());
  auto first = crowd->look();
  if (!first) return session.report(first.error());
  if (first->empty() && !o.json) session.out << "No process that uses a GPU was found.\n";
  if (o.dry_run || first->empty()) return show_plan(o, *crowd, *first, session);
  const auto path = state_path(o.state, o.pid, session);
  if (!path) return session.report(path.error());
  bool saved = false;
  int looks = 0;
  BindSteps steps;
  steps.look = [&]() -> Result<std::vector<ProcessChange>> {
    if (looks++ > 0) return crowd->look();
    return *first;
  };
  steps.save = [&](const std::vector<ProcessChange>& changes) {
    auto written = write_file(*path, to_json(RebindState{boot_id(session), changes}), saved || o.force);
    saved |= written.has_value();
    return written;
  };
  steps.alive = [&](int pid) { return crowd->alive(pid); };
  steps.pause = let_forks_end;
  RealRebindKernel kernel;
  const auto report = bind_threads(kernel, steps);
  if (!report) {
    if (saved && looks <= 1) unlink(path->c_str());  // nothing was changed
    return session.report(report.error());
  }
  const bool masks_failed = tell_losses(*report, session);
  const auto outcomes = move_all_memory(kernel, *crowd, *report, session, !o.json);
  const bool pages_failed = std::any_of(outcomes.begin(), outcomes.end(), [](const auto& p) { return p.memory && p.memory->failed(); });
  if (o.json)
    session.out << to_json(RebindOutcome{saved ? std::optional(*path) : std::nullopt, outcomes, *report, crowd->notes()});
  else if (saved)
    session.out << "undo: numapin rebind --undo " << *path << '\n';
  for (const auto& note : crowd->notes()) session.say(note);
  return masks_failed || pages_failed ? kFailed : kDone;
}

// ---- undo -----------------------------------------------------------------------------------------------------------------

/// The processes of the state that still run, and those below them.
std::vector<ProcessInfo> living(const RebindState& state, const Session& session, std::map<int, ProcessGuard>& guards) {
  std::set<int> pids;
  for (const auto& p : state.processes) {
    const auto now = read_process(session.live, p.pid, {.threads = false, .memory = false});
    if (!now || now->start_ticks != p.start_ticks) continue;
    for (const int pid : process_tree(session.live, p.pid)) pids.insert(pid);
  }
  std::vector<ProcessInfo> out;
  for (const int pid : pids) {
    if (pid == getpid()) continue;
    if (!guards.contains(pid))
      if (auto guard = ProcessGuard::open(pid)) guards.emplace(pid, std::move(*guard));
    if (auto p = read_process(session.live, pid, {.threads = true, .memory = false})) out.push_back(std::move(*p));
  }
  return out;
}

int undo(const RebindOptions& o, const Session& session) {
  const auto state = read_state(o.undo, o.force, session);
  if (!state) return session.report(state.error());
  std::map<int, ProcessGuard> guards;
  if (undo_changes(*state, living(*state, session, guards)).empty())
    return session.report({Error::Kind::kNotFound, fmt::format("undo {}: none of its processes runs any more", o.undo), "remove the file"});
  BindSteps steps;
  steps.look = [&]() -> Result<std::vector<ProcessChange>> { return undo_changes(*state, living(*state, session, guards)); };
  steps.save = [](const auto&) -> Result<void> { return {}; };
  steps.alive = [&](int pid) { return guards.contains(pid) && guards.at(pid).alive(); };
  steps.pause = let_forks_end;
  if (o.dry_run) {
    const auto found = steps.look();
    if (o.json) session.out << to_json(RebindOutcome::planned(*found, {}));
    for (const auto& p : o.json ? std::vector<ProcessChange>{} : *found)
      session.out << who(p) << ": would restore " << (threads_text(p).empty() ? "nothing: its masks are the old ones" : threads_text(p)) << '\n';
    return kDone;
  }
  RealRebindKernel kernel;
  const auto report = bind_threads(kernel, steps);
  if (!report) return session.report(report.error());
  if (o.json)
    session.out << to_json(RebindOutcome{std::nullopt, without_memory(report->changes), *report, {}});
  else
    session.out << fmt::format("restored the masks of {} in {}; memory stays where it is\n",
                               count_words(static_cast<std::size_t>(report->changed), "thread"),
                               fmt::format("{} process{}", report->changes.size(), report->changes.size() == 1 ? "" : "es"));
  return tell_losses(*report, session) ? kFailed : kDone;
}

// ---- options --------------------------------------------------------------------------------------------------------------

Result<void> check_options(const RebindOptions& o) {
  const bool whom = o.pid != 0 || o.all_gpu;
  if (!whom && o.undo.empty()) return bad_input("rebind: which process?", "give its number, or --all-gpu; numapin inspect lists them");
  if (o.pid < 0) return bad_input(fmt::format("rebind {}: not a process number", o.pid), "numapin inspect lists them");
  if (o.pid == getpid()) return bad_input(fmt::format("rebind {}: that is this very command", o.pid), "numapin run starts a command in its place");
  if (o.pid == 1 && !o.force && !o.no_children)
    return bad_input("rebind 1: it and all that descends from it is the whole system", "--force if that is meant, as in a container");
  if (!o.cpus.empty() && !parse_cpu_scope(o.cpus))
    return bad_input(fmt::format("--cpus '{}': no such choice", o.cpus), "node, socket, l3, exclusive, spread, all or none");
  return {};
}

int run(const RebindOptions& o, Session& session) {
  if (const auto ok = check_options(o); !ok) return session.report(ok.error());
  return o.undo.empty() ? rebind(o, session) : undo(o, session);
}

}  // namespace

Runner add_rebind(CLI::App& app) {
  auto o = std::make_shared<RebindOptions>();
  auto* pid = app.add_option("process", o->pid, "its number; its children go with it")->type_name("PID");
  auto* all = app.add_flag("--all-gpu", o->all_gpu, "every process that uses a GPU, each to its own")->excludes(pid);
  auto* gpu = app.add_option("--gpu", o->gpu, "to the nodes of these GPUs, whichever it uses")->type_name("LIST");
  auto* node = app.add_option("--node", o->node, "to these nodes: their CPUs, their memory")->type_name("LIST")->excludes(gpu);
  auto* list = app.add_option("--cpu-list", o->cpu_list, "to these CPUs, memory left alone, as taskset -acp LIST PID")
                   ->type_name("LIST")->excludes(gpu)->excludes(node);
  app.add_option("--cpus", o->cpus, "which CPUs near the GPU: node (default), socket, l3, exclusive, spread, all, none")
      ->type_name("WHICH")->excludes(node)->excludes(list);
  auto* memory = app.add_option("--memory", o->memory, "nodes that its memory goes to, instead of those near the CPUs; or none")
                     ->type_name("NODES|none");
  app.add_flag("--cpus-only", o->cpus_only, "masks only: leave memory where it is")->excludes(memory);
  app.add_flag("--force", o->force, "all CPUs also for threads with a mask of their own; replace the --state file; undo another user's");
  app.add_flag("--no-children", o->no_children, "only the process itself");
  app.add_flag("--dry-run", o->dry_run, "say what would change, change nothing");
  app.add_flag("--json", o->json, "what changed, or would, as one document");
  app.add_option("--undo", o->undo, "restore the masks that this file keeps")->type_name("FILE")
      ->excludes(pid)->excludes(all)->excludes(gpu)->excludes(node)->excludes(list)->excludes(memory);
  app.add_option("--state", o->state, "keep the old masks in this file")->type_name("FILE");
  set_examples(app, kExamples);
  return [o](Session& session) { return run(*o, session); };
}

}  // namespace numapin::cli
