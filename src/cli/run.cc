// numapin run: bind, then become the command. No process stays behind.
#include "cli/run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "cli/numactl_options.h"
#include "cli/options.h"
#include "cli/run_options.h"
#include "cli/run_placement.h"
#include "cli/session.h"
#include "cli/start_command.h"
#include "os/kernel.h"
#include "os/program.h"
#include "os/room.h"
#include "plan/policy_text.h"
#include "sources/container.h"

namespace numapin::cli {
namespace {

// ---- options -------------------------------------------------------------------------------------------------------

constexpr const char* kPlacement = "placement";
constexpr const char* kNumactl = "numactl's options, with its syntax (all, same, !, +, pci: netdev: block: file: ip:)";
constexpr const char* kTaskset = "taskset's options";
constexpr const char* kOutcome = "what to do and to say";

void add_placement_options(CLI::App& app, RunOptions& o) {
  app.add_option("--gpu", o.gpu, "GPUs to be near: index in PCI order (among the visible ones), UUID or unique prefix, "
                                 "PCI address, MIG UUID, lists and ranges; local-rank: the one with the number "
                                 "that mpirun, srun or torchrun gave this process (all stay visible); default: the visible GPUs")
      ->type_name("GPUS")->group(kPlacement);
  app.add_option("--cpus", o.cpus, "CPUs near the GPU: node (default), socket, l3, all, none")
      ->check(one_of({"node", "socket", "l3", "all", "none"}))->type_name("WORD")->group(kPlacement);
  app.add_option("--smt", o.smt, "off: one logical CPU of each core; default on")
      ->check(one_of({"on", "off"}))->type_name("WORD")->group(kPlacement);
  app.add_option("--memory", o.memory, "memory of the GPU's node: preferred (default; spills when full), bind (never "
                                       "elsewhere), interleave, weighted-interleave, local, none")
      ->check(one_of({"preferred", "bind", "interleave", "weighted-interleave", "local", "none"}))->type_name("WORD")
      ->group(kPlacement);
  app.add_option("--profile", o.profile, "training (the defaults), inference (bind, one thread a core), big-memory "
                                         "(near CPUs, memory interleaved over all nodes)")
      ->check(one_of({"training", "inference", "big-memory"}))->type_name("WORD")->group(kPlacement);
  app.add_option("--make-room", o.make_room, "free clean page cache of the node first: SIZE (8G), auto (default), off")
      ->type_name("SIZE|auto|off")->group(kPlacement);
}

void add_numactl_options(CLI::App& app, RunOptions& o) {
  const auto add = [&app](const char* names, std::string& value, const char* type, const char* help) {
    app.add_option(names, value, help)->type_name(type)->group(kNumactl);
  };
  add("-N,--cpunodebind,--cpubind", o.cpunodebind, "NODES", "run on the CPUs of these nodes");
  add("-C,--physcpubind", o.physcpubind, "CPUS", "run on these CPUs");
  add("-m,--membind", o.membind, "NODES", "take memory from these nodes only");
  add("-i,--interleave", o.interleave, "NODES", "take memory from these nodes in turn");
  add("-w,--weighted-interleave", o.weighted_interleave, "NODES", "the same, by the kernel's weights (Linux 6.9)");
  add("-p,--preferred", o.preferred, "NODE", "prefer memory of this node");
  add("-P,--preferred-many", o.preferred_many, "NODES", "prefer memory of these nodes");
  app.add_flag("-l,--localalloc", o.localalloc, "take memory of the node a thread runs on")->group(kNumactl);
  app.add_flag("-b,--balancing", o.balancing, "with --membind: let the kernel move pages among the nodes")
      ->group(kNumactl);
  app.add_flag("-a,--all", o.all, "count in CPUs and nodes outside this process's mask")->group(kNumactl);
  // -c is taskset's CPU list and old numactl's node list: to guess would bind a script to the wrong place.
  app.add_option("-c", o.ambiguous)->group("");
  app.add_option("--cpu-list", o.cpu_list, "run on these CPUs: 0-3,8 or 0-31:2")->type_name("CPUS")->group(kTaskset);
  app.add_option("--cpu-mask", o.cpu_mask, "run on these CPUs: 0x0f")->type_name("MASK")->group(kTaskset);
}

void add_outcome_options(CLI::App& app, RunOptions& o) {
  app.add_flag("--strict", o.strict, "start nothing unless all of it can be done")->group(kOutcome);
  app.add_flag("--verify", o.verify, "read the binding back from the kernel; start nothing on a mismatch")
      ->group(kOutcome);
  app.add_flag("--dry-run", o.dry_run, "say what would be done, do nothing")->group(kOutcome);
  app.add_option("--machine", o.machine, "with --dry-run: on a recorded or built-in machine")
      ->type_name("FILE|NAME")
      ->group(kOutcome);
  app.add_flag("--json", o.json, "with --dry-run: as JSON")->group(kOutcome);
  app.add_flag("--explain", o.explain, "every decision with its reason and source")->group(kOutcome);
  app.add_flag("-q,--quiet", o.quiet, "without the line that says what was achieved")->group(kOutcome);
}

/// The node lists in the order they were typed, for numactl's "same".
std::vector<std::string*> node_lists_in_order(const CLI::App& app, RunOptions& o) {
  const std::pair<const char*, std::string*> lists[] = {
      {"--cpunodebind", &o.cpunodebind}, {"--membind", &o.membind},     {"--interleave", &o.interleave},
      {"--weighted-interleave", &o.weighted_interleave},                {"--preferred", &o.preferred},
      {"--preferred-many", &o.preferred_many}};
  std::vector<std::string*> order;
  for (const auto* option : app.parse_order()) {
    for (const auto& [name, text] : lists) {
      if (option->check_name(name)) order.push_back(text);
    }
  }
  return order;
}

// ---- saying what was done ------------------------------------------------------------------------------------------

/// What was asked for, as far as it was achieved.
std::vector<std::string> achieved_words(const Outcome& outcome) {
  std::vector<std::string> words;
  if (!outcome.cpus_asked.empty()) {
    words.push_back(outcome.cpus.empty() ? "CPUs not bound" : fmt::format("CPUs {}", outcome.cpus.to_list()));
  }
  if (outcome.memory_asked.mode != MemoryMode::kNone) {
    words.push_back(outcome.memory_got.mode == MemoryMode::kNone ? "memory not bound"
                                                                 : "memory " + describe(outcome.memory_got));
  }
  if (words.empty()) words.emplace_back("CPUs and memory left as they were");
  return words;
}

/// The first refusal of each cause; the rungs below it fail for the same one.
std::string loss_words(const std::vector<Error>& losses) {
  std::string text;
  std::vector<std::string> causes;
  for (const auto& loss : losses) {
    if (std::find(causes.begin(), causes.end(), loss.hint) != causes.end()) continue;
    causes.push_back(loss.hint);
    text += fmt::format("; {}", loss.message);
    if (!loss.hint.empty()) text += fmt::format(" ({})", loss.hint);
  }
  return text;
}

std::string verdict(const RunPlacement& where, const Outcome& outcome, bool verified) {
  const std::string subject = where.subject.empty() ? "" : where.subject + ": ";
  return subject + join(achieved_words(outcome), ", ") + loss_words(outcome.losses) + (verified ? "; verified" : "");
}

void explain(const RunPlacement& where, std::ostream& out) {
  for (const auto& reason : where.placement.because) out << "  because " << reason << '\n';
}

int dry_run(Session& s, const RunOptions& o, const RunPlacement& where) {
  if (o.json) {
    s.out << run_json(where, o.words);
    return kDone;
  }
  if (!where.subject.empty()) s.out << where.subject << '\n';
  PrintingKernel kernel([&](const std::string& line) { s.out << "  " << line << '\n'; });
  const auto outcome = perform(actions(where.placement), kernel, o.strict);
  if (!outcome) return s.report(outcome.error());
  if (!o.words.empty()) s.out << "  run " << join(o.words, " ") << '\n';
  if (o.explain) explain(where, s.out);
  return kDone;
}

// ---- doing it ------------------------------------------------------------------------------------------------------

/// What a second binder needs to know about the first (two of them un-pin each other).
void leave_record(const Outcome& outcome, Kernel& kernel) {
  if (!outcome.cpus.empty()) kernel.set_env("NUMAPIN_CPUS", outcome.cpus.to_list());
  if (outcome.memory_got.mode != MemoryMode::kNone) kernel.set_env("NUMAPIN_MEMORY", describe(outcome.memory_got));
}

/// A policy named by numactl's option that this kernel does not have: numactl fails, and so do we.
const Error* unsupported_policy(const RunOptions& o, const Outcome& outcome) {
  if (!o.names_memory() || outcome.memory_got.mode == outcome.memory_asked.mode) return nullptr;
  for (const auto& loss : outcome.losses) {
    if (loss.kind == Error::Kind::kUnsupported) return &loss;
  }
  return nullptr;
}

/// The nodes whose memory the job is to get first. Under bind the kernel frees cache by itself.
NodeSet nodes_to_make_room_on(const RunPlacement& where, const RoomWish& wish) {
  const auto& memory = where.placement.memory;
  switch (memory.mode) {
    case MemoryMode::kPreferred: return memory.nodes;
    case MemoryMode::kPreferredOne: return NodeSet::of(memory.nodes.first());
    case MemoryMode::kLocal: return where.placement.near_nodes;
    default: return wish.mode == RoomWish::Mode::kSize ? memory.nodes : NodeSet{};
  }
}

void make_room(const Session& s, const RunOptions& o, const RunPlacement& where, const RoomWish& wish) {
  const auto start = std::chrono::steady_clock::now();
  for (const NodeId node : nodes_to_make_room_on(where, wish)) {
    const auto report = numapin::make_room(node, wish, s.live, start);
    if (!report.done.empty() && !o.quiet) s.say(report.done);
    if (!report.shortage.empty()) s.warn(report.shortage);
  }
}

/// Where a container's filter refused a call, the option of its engine that lets it through.
void name_outer_permission(const Session& s, Outcome& outcome) {
  for (auto& loss : outcome.losses) {
    if (loss.hint != kSeccompHint) continue;
    if (const auto container = read_own_container(s.live, s.env))
      loss.hint = fmt::format("a seccomp filter refuses this call in {}; from outside: {}", describe(*container), outer_permission(*container));
  }
}

int bind_and_become(Session& s, const RunOptions& o, const RunPlacement& where, const RoomWish& wish, Kernel& kernel) {
  const auto file = find_command(s, o.words[0]);
  if (!file) return fail_to_start(s, file.error());
  make_room(s, o, where, wish);
  auto outcome = perform(actions(where.placement), kernel, o.strict);
  if (!outcome) return s.report(outcome.error());
  name_outer_permission(s, *outcome);
  if (const auto* error = unsupported_policy(o, *outcome)) return s.report(*error);
  if (o.verify) {
    if (const auto same = verify(*outcome, kernel); !same) return s.report(same.error());
  }
  leave_record(*outcome, kernel);
  if (!o.quiet) s.say(verdict(where, *outcome, o.verify));
  if (o.explain) explain(where, s.err);
  s.out.flush();
  s.err.flush();
  return fail_to_start(s, become(*file, o.words));
}

int run_run(Session& s, const RunOptions& o) {
  if (const auto ok = check_contradictions(o); !ok) return s.report(ok.error());
  if (o.words.empty() && !o.dry_run) {
    return s.report({Error::Kind::kBadInput, "no command to run", "as in: numapin run --gpu 0 -- python train.py"});
  }
  const auto wish = parse_room_wish(o.make_room);
  if (!wish) return s.report(wish.error());
  RealKernel kernel;
  const auto where = place(o, s, kernel);
  if (!where) return s.report(where.error());
  if (o.strict && !where->shortfalls.empty()) {
    return s.report({Error::Kind::kDenied, where->shortfalls[0], "without --strict the command starts all the same"});
  }
  for (const auto& warning : where->placement.warnings) s.warn(warning);
  return o.dry_run ? dry_run(s, o, *where) : bind_and_become(s, o, *where, *wish, kernel);
}

void add_options(CLI::App& app, RunOptions& options) {
  app.prefix_command();
  add_placement_options(app, options);
  add_numactl_options(app, options);
  add_outcome_options(app, options);
}

}  // namespace

Result<RunOptions> parse_run_words(std::vector<std::string> words) {
  RunOptions options;
  CLI::App app;
  add_options(app, options);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& e) {
    return bad_input(e.what());
  }
  options.words = command_words(app);
  NUMAPIN_CHECK_OK(resolve_same(node_lists_in_order(app, options)));
  NUMAPIN_CHECK_OK(check_contradictions(options));
  return options;
}

Runner add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  add_options(app, *options);
  app.footer(
      "  numapin run --gpu 0 -- python train.py            CPUs and memory beside GPU 0\n"
      "  numapin run --gpu 2,3 --memory bind -- ./server   strict: never memory of another node\n"
      "  numapin run -N 0 -m 0 ./solver                    as numactl\n"
      "  numapin run --gpu 5 --dry-run --machine dual-a100 what it would do there\n");
  return [&app, options](Session& s) {
    options->words = command_words(app);
    if (const auto ok = resolve_same(node_lists_in_order(app, *options)); !ok) return s.report(ok.error());
    return run_run(s, *options);
  };
}

}  // namespace numapin::cli
