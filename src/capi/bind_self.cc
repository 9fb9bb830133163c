#include "capi/bind_self.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "base/units.h"
#include "os/kernel.h"
#include "plan/policy_text.h"

namespace numapin::capi {
namespace {

struct SelfBinder {
  const Machine& m;
  const Request& request;
  const FileTree& live;
  RebindKernel& rebind_kernel;
  Kernel& kernel;
  BindSelfReport report;

  Result<void> bind_all_threads();
  Result<void> set_policy();
  void look_at_pages();
  void move_pages(const ProcessInfo& self);
  Result<void> lose(Error e);
  std::optional<ProcessInfo> read_memory() const;
};

Result<void> SelfBinder::lose(Error e) {
  if (request.strict) return Unexpected(std::move(e));
  report.losses.push_back(std::move(e));
  return {};
}

Result<void> SelfBinder::bind_all_threads() {
  if (report.cpus_asked.empty()) return {};
  BindSteps steps;
  steps.look = [&]() -> Result<std::vector<ProcessChange>> {
    NUMAPIN_TRY(const auto self, read_process(live, getpid(), {.threads = true, .memory = false}));
    if (report.allowed.empty()) report.allowed = whole_mask({&self, 1});
    const RebindTarget target{report.cpus_asked, {}, true, false};
    return std::vector{change_process(m, self, report.allowed, target)};
  };
  steps.save = [](const auto&) -> Result<void> { return {}; };
  auto bound = bind_threads(rebind_kernel, steps);
  if (!bound) {
    Error e = std::move(bound).error();
    if (e.kind == Error::Kind::kDenied) e.hint = kSeccompHint;  // these are our own threads
    return lose(std::move(e));
  }
  report.threads = std::move(*bound);
  if (const auto& left = report.threads.left_out; !left.empty())
    NUMAPIN_CHECK_OK(lose({Error::Kind::kDenied, "set CPUs " + report.cpus_asked.to_list() + ": the kernel left out " + left.to_list(),
                           "they are offline or not in this process's cpuset"}));
  if (const auto& refused = report.threads.refused; !refused.empty())
    NUMAPIN_CHECK_OK(lose({Error::Kind::kDenied, fmt::format("set CPUs of {} threads: {}", refused.size(), std::strerror(refused[0].error)), {}}));
  if (!report.threads.settled)
    report.warnings.push_back(fmt::format("new threads appeared in each of {} passes: some may have the old mask; bind again", report.threads.passes));
  return {};
}

Result<void> SelfBinder::set_policy() {
  const Action action = SetMemoryPolicy{report.placement.memory};
  NUMAPIN_TRY(report.memory, perform({&action, 1}, kernel, request.strict));
  report.losses.insert(report.losses.end(), report.memory.losses.begin(), report.memory.losses.end());
  return {};
}

std::optional<ProcessInfo> SelfBinder::read_memory() const {
  auto self = read_process(live, getpid(), {.threads = false, .memory = true});
  if (!self || !self->memory) return std::nullopt;
  return std::move(*self);
}

void SelfBinder::look_at_pages() {
  const auto& p = report.placement;
  const NodeSet nodes = p.memory.nodes.empty() ? p.near_nodes : p.memory.nodes;
  if (nodes.empty() || memory_nodes(m).size() < 2) return;
  const auto self = read_memory();
  if (!self) {
    report.warnings.emplace_back("where the pages of this process are cannot be seen (/proc/self/numa_maps)");
    return;
  }
  report.pages = TouchedPages{nodes, self->memory->own(), {}, 0, {}};
  if (request.migrate) move_pages(*self);
}

void SelfBinder::move_pages(const ProcessInfo& self) {
  auto& pages = *report.pages;
  const auto change = change_process(m, self, {}, {{}, pages.nodes, false, false});
  report.warnings.insert(report.warnings.end(), change.warnings.begin(), change.warnings.end());
  pages.moved_bytes = 0;
  if (change.moves.empty()) return;
  const auto before = pages.elsewhere();
  const auto timing = migrate(rebind_kernel, self.pid, change.moves, {});
  pages.move_seconds = timing.seconds;
  if (timing.error != 0)
    report.losses.push_back({timing.error == EPERM ? Error::Kind::kDenied : Error::Kind::kSystem,
                             fmt::format("move pages: migrate_pages: {}", std::strerror(timing.error)), timing.error == EPERM ? kSeccompHint : ""});
  NodeSet from;
  for (const auto& move : change.moves) from.insert(NodeId{move.from});
  const auto why = ask_why(rebind_kernel, self.pid, stray_ranges(live, self.pid, from), from, change.moves.front().to);
  if (const auto now = read_memory()) pages.own = now->memory->own();
  pages.moved_bytes = before - std::min(before, pages.elsewhere());
  std::uint64_t all = 0;
  for (const auto& [reason, count] : why.pages) all += count;
  for (const auto& [reason, count] : why.pages) pages.stayed.emplace_back(reason, static_cast<double>(count) / static_cast<double>(all));
}

}  // namespace

std::uint64_t TouchedPages::elsewhere() const {
  std::uint64_t bytes = 0;
  for (const auto& [node, count] : own)
    if (!nodes.contains(NodeId{node})) bytes += count;
  return bytes;
}

Result<BindSelfReport> bind_self(const Machine& m, Placement placement, const Request& request, const FileTree& live,
                                 RebindKernel& rebind_kernel, Kernel& kernel) {
  SelfBinder binder{m, request, live, rebind_kernel, kernel, {}};
  auto& report = binder.report;
  report.cpus_asked = placement.main_cpus.empty() ? placement.cpus : placement.main_cpus;
  report.warnings = placement.warnings;
  report.placement = std::move(placement);
  report.dry_run = request.dry_run;
  if (request.dry_run) {
    report.memory.memory_asked = report.placement.memory;
    return std::move(report);
  }
  NUMAPIN_CHECK_OK(binder.bind_all_threads());
  NUMAPIN_CHECK_OK(binder.set_policy());
  if (request.look || request.migrate) binder.look_at_pages();
  return std::move(report);
}

std::string verdict(const BindSelfReport& r) {
  const auto& p = r.placement;
  std::string gpus;
  for (const int gpu : p.gpus) gpus += fmt::format("{}{}", gpus.empty() ? (p.gpus.size() == 1 ? "GPU " : "GPUs ") : ",", gpu);
  const std::string where = p.gpus.empty() ? "no GPU" : gpus + " → " + (p.near_nodes.empty() ? "node unknown" : node_words(p.near_nodes));
  std::vector<std::string> done;
  if (r.dry_run) {
    if (!r.cpus_asked.empty()) done.push_back("CPUs " + r.cpus_asked.to_list());
    if (r.memory.memory_asked.mode != MemoryMode::kNone) done.push_back("memory " + describe(r.memory.memory_asked));
    return done.empty() ? where + ": CPUs and memory would be left as they are" : where + ": would get " + join(done, ", ");
  }
  const auto seen = r.threads.changed + r.threads.as_they_were;
  if (!r.cpus_asked.empty() && seen == 0) done.emplace_back("CPUs not bound");
  if (!r.cpus_asked.empty() && seen > 0) done.push_back(fmt::format("{} thread{} on CPUs {}", seen, seen == 1 ? "" : "s", r.cpus_asked.to_list()));
  if (r.memory.memory_got.mode != MemoryMode::kNone) done.push_back("memory " + describe(r.memory.memory_got));
  else if (r.memory.memory_asked.mode != MemoryMode::kNone) done.emplace_back("memory not bound");
  if (done.empty()) done.emplace_back("CPUs and memory left as they were");
  return where + ": " + join(done, ", ");
}

std::string late_words(const BindSelfReport& r) {
  constexpr std::uint64_t kNoise = 8 << 20;  // as inspect: less is start-up
  if (!r.pages || r.pages->elsewhere() < kNoise) return "";
  const auto& pages = *r.pages;
  const auto text = fmt::format("late: {} of {} that this process touched before are not on {}", size_text(pages.elsewhere()),
                                size_text(total_bytes(pages.own)), node_words(pages.nodes));
  if (pages.moved_bytes) return text + ", and could not be moved";
  return text + "; they stay there: migrate moves them, `numapin run` or launch binds before anything is touched";
}

}  // namespace numapin::capi
