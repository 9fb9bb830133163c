#include "capi/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "base/units.h"
#include "os/kernel.h"
#include "plan/policy_text.h"

namespace numapin::capi {
namespace {

Result<void> check_range(const void* start, std::size_t bytes) {
  if (start == nullptr || bytes == 0) return bad_input("place memory: the range is empty");
  if (reinterpret_cast<std::uintptr_t>(start) % static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)) != 0)
    return bad_input("place memory: the range does not start at a page", "take it from mmap(2) or aligned_alloc(3)");
  return {};
}

Result<Placement> target_of(const System& system, const Request& request) {
  if (!request.nodes) return place_self(system, request);
  Placement p;
  if (!memory_nodes(system.machine).contains(*request.nodes))
    return bad_input("place memory on " + node_words(*request.nodes) + ": no such node with memory",
                     "this machine has memory on " + node_words(memory_nodes(system.machine)));
  p.near_nodes = *request.nodes;
  p.memory = {request.memory.value_or(MemoryMode::kPreferred), *request.nodes};
  p.because.push_back("memory on " + node_words(*request.nodes) + ": asked for");
  return p;
}

void set_policy(void* start, std::size_t bytes, const MemoryPolicy& policy, MemoryReport& report) {
  if (policy.mode == MemoryMode::kNone) return;
  if (const int error = set_range_policy(start, bytes, policy)) {
    report.losses.push_back({error == EPERM ? Error::Kind::kDenied : Error::Kind::kSystem,
                             fmt::format("set memory {} for a range: mbind: {}", describe(policy), std::strerror(error)),
                             error == EPERM ? kSeccompHint : ""});
    return;
  }
  report.policy = policy;
}

/// Strict: what is elsewhere, or cannot be seen, is an error.
Result<void> check_local(const MemoryReport& report) {
  if (!report.found) return Unexpected(report.losses.back());
  std::uint64_t elsewhere = 0;
  for (const auto& [node, count] : report.found->bytes)
    if (!report.nodes.contains(NodeId{node})) elsewhere += count;
  if (elsewhere == 0) return {};
  return fail(Error::Kind::kSystem, fmt::format("place memory on {}: {} came to lie elsewhere", node_words(report.nodes), size_text(elsewhere)),
              "the node is full, or not in this process's cpuset.mems: numapin run --make-room, numapin topo");
}

}  // namespace

Result<MemoryReport> place_memory(const System& system, void* start, std::size_t bytes, const Request& request) {
  NUMAPIN_CHECK_OK(check_range(start, bytes));
  NUMAPIN_TRY(const auto target, target_of(system, request));
  MemoryReport report;
  report.nodes = target.near_nodes.empty() ? target.memory.nodes : target.near_nodes;
  report.because = target.because;
  report.warnings = target.warnings;
  set_policy(start, bytes, target.memory, report);
  if (request.huge_pages) madvise(start, bytes, MADV_HUGEPAGE);  // a wish: kernels without THP refuse it
  // For this moment a thread may leave the process's mask; it cannot leave its cpuset.
  touch_range(start, bytes, cpus_of(system.machine, report.nodes));
  if (auto found = range_nodes(start, bytes)) report.found = std::move(*found);
  else report.losses.push_back(found.error());
  if (request.strict && !report.nodes.empty()) NUMAPIN_CHECK_OK(check_local(report));
  return report;
}

}  // namespace numapin::capi
