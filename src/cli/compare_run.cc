#include "cli/compare_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/counter.h"
#include "base/numbers.h"
#include "base/text.h"
#include "cli/session.h"
#include "numapin/measured.h"
#include "numapin/process.h"
#include "os/launcher.h"
#include "plan/ranks.h"

namespace numapin::cli {
namespace {

/// Pages that some node gave although another was wanted, of the whole machine (Documentation/admin-guide/numastat.rst).
std::optional<std::uint64_t> numa_misses(const FileTree& tree) {
  const auto entries = tree.list("/sys/devices/system/node");
  if (!entries) return std::nullopt;
  std::uint64_t sum = 0;
  for (const auto& name : *entries) {
    if (!name.starts_with("node")) continue;
    const auto text = tree.read("/sys/devices/system/node/" + name + "/numastat");
    if (text) sum += counter(*text, "numa_miss").value_or(0);
  }
  return sum;
}

// ---- what can be seen only while it runs -------------------------------------------------------------------------------

std::string look(const FileTree& tree, const std::vector<int>& pids) {
  std::uint64_t migrations = 0;
  bool counted = false;
  NodeBytes bytes;
  for (const int root : pids) {
    if (root == 0) continue;
    for (const int pid : process_tree(tree, root)) {
      const auto p = read_process(tree, pid);
      if (!p) continue;
      if (p->memory) add_bytes(bytes, p->memory->own());
      for (const auto& thread : p->threads)
        if (thread.migrations) migrations += *thread.migrations, counted = true;
    }
  }
  auto text = counted ? fmt::format("migrations {}\n", migrations) : std::string();
  for (const auto& [node, n] : bytes) text += fmt::format("{} {}\n", node, n);
  return text;
}

void take(const std::string& text, Trial& trial) {
  for (const auto line : split_lines(text)) {
    const auto words = split_words(line);
    const auto value = words.size() == 2 ? parse_number<std::uint64_t>(words[1]) : std::nullopt;
    if (!value) continue;
    if (words[0] == "migrations") trial.migrations = *value;
    else if (const auto node = parse_number<int>(words[0])) trial.bytes_by_node[*node] = *value;
  }
}

// ---- metrics of several ranks ------------------------------------------------------------------------------------------

/// The ranks' values as the whole job's: rates add up, times are those of the slowest.
std::vector<double> joined(const std::vector<MetricReader>& readers, std::size_t metric, bool higher_is_better) {
  if (readers.size() == 1) return readers[0].values()[metric];
  std::optional<double> total;
  for (const auto& reader : readers)
    if (const auto own = median(reader.values()[metric]))
      total = !total ? *own : higher_is_better ? *total + *own : std::max(*total, *own);
  return total ? std::vector{*total} : std::vector<double>{};
}

void add_metrics(Trial& t, const std::vector<MetricSpec>& metrics, const std::vector<MetricReader>& readers) {
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const bool wall = metrics[i].kind == MetricSpec::Kind::kWall;
    t.values.push_back(wall ? std::vector{t.wall_s} : joined(readers, i, metrics[i].higher_is_better));
  }
  if (readers.size() < 2 || metrics[0].kind == MetricSpec::Kind::kWall) return;
  for (const auto& reader : readers) t.rank_values.push_back(reader.values()[0]);
}

LaunchSpec launch_spec(const TrialSpec& spec, const Session& session) {
  LaunchSpec out;
  out.file = spec.file;
  out.words = spec.words;
  const auto& plan = *spec.plan;
  for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
    RankSpec r;
    r.actions = actions(plan.placements[rank]);
    if (plan.placements.size() > 1)
      for (auto& [name, value] : rank_environment(plan, static_cast<int>(rank), {}, session.env))
        r.actions.push_back(SetEnv{name, value});
    // A pipe would make Python keep lines back until it ends.
    if (!session.env.contains("PYTHONUNBUFFERED")) r.actions.push_back(SetEnv{"PYTHONUNBUFFERED", "1"});
    out.ranks.push_back(std::move(r));
  }
  return out;
}

void add_usage(Trial& t, const LaunchReport& report) {
  for (const auto& r : report.ranks) {
    t.wall_s = std::max(t.wall_s, r.wall.count());
    t.cpu_s += (r.user + r.system).count();
    t.max_rss_bytes += r.max_rss_bytes;
    t.voluntary_switches += r.voluntary_switches;
    t.involuntary_switches += r.involuntary_switches;
  }
  t.status = report.status();
  if (report.first_failed) t.last_lines = report.ranks[static_cast<std::size_t>(*report.first_failed)].last_lines;
}

}  // namespace

Result<TrialResult> run_trial(const TrialSpec& spec, const Session& session) {
  TrialResult out;
  std::vector<MetricReader> readers;
  for (std::size_t i = 0; i < spec.plan->placements.size(); ++i) readers.emplace_back(*spec.metrics);
  LaunchEvents events;
  // The command's output is read for the metrics and goes nowhere else.
  events.line = [&](int rank, OutputStream, std::string_view line, std::string&) { readers[static_cast<std::size_t>(rank)].line(line); };
  events.look = [&](const std::vector<int>& pids) { return look(session.live, pids); };
  events.seen = [&](const std::string& text) { take(text, out.trial); };
  const auto before = numa_misses(session.live);
  NUMAPIN_TRY(const auto report, launch(launch_spec(spec, session), events));
  if (const auto after = numa_misses(session.live); before && after && *after >= *before) out.trial.numa_misses = *after - *before;
  if (report.first_failed)
    if (const auto& error = report.ranks[static_cast<std::size_t>(*report.first_failed)].start_error) return Unexpected(*error);
  add_usage(out.trial, report);
  add_metrics(out.trial, *spec.metrics, readers);
  out.told_to_end_by = report.told_to_end_by;
  return out;
}

}  // namespace numapin::cli
