#include "os/memory_range.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "os/kernel.h"
#include "os/rebind.h"

namespace numapin {
namespace {

std::uintptr_t page_size() { return static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)); }

int mbind(void* start, std::size_t bytes, int mode, const NodeSet& nodes) {
  const auto& words = nodes.words();
  // The kernel takes one off maxnode before it uses it (get_nodes() in mm/mempolicy.c): ask for one bit more.
  return syscall(SYS_mbind, start, bytes, mode, words.data(), words.size() * 64 + 1, 0U) < 0 ? errno : 0;
}

}  // namespace

int set_range_policy(void* start, std::size_t bytes, const MemoryPolicy& policy) {
  if (policy.mode == MemoryMode::kNone || policy.nodes.empty()) return 0;
  const bool one = policy.mode == MemoryMode::kPreferredOne;
  const int error = mbind(start, bytes, kernel_mode(policy), one ? NodeSet::of(policy.nodes.first()) : policy.nodes);
  if (error != EINVAL || policy.mode != MemoryMode::kPreferred) return error;
  return set_range_policy(start, bytes, {MemoryMode::kPreferredOne, policy.nodes});  // before 5.15
}

void touch_range(void* start, std::size_t bytes, const CpuSet& cpus) {
  std::thread([=]() mutable {
    if (!cpus.empty()) RealKernel().set_affinity(0, cpus);
    const auto page = page_size();
    for (auto* at = static_cast<unsigned char*>(start); bytes > 0;) {
      __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);  // a write that no other thread's write is lost by
      const auto step = std::min<std::size_t>(page, bytes);
      at += step;
      bytes -= step;
    }
  }).join();
}

Result<RangeNodes> range_nodes(const void* start, std::size_t bytes) {
  constexpr std::size_t kBatch = 1 << 16;
  const auto page = page_size();
  const auto end = reinterpret_cast<std::uintptr_t>(start) + bytes;
  RangeNodes found;
  RealRebindKernel kernel;
  std::vector<std::uint64_t> addresses;
  std::vector<int> status;
  for (auto at = reinterpret_cast<std::uintptr_t>(start) / page * page; at < end;) {
    addresses.clear();
    for (; at < end && addresses.size() < kBatch; at += page) addresses.push_back(at);
    if (const int error = kernel.move_pages(0, addresses, std::nullopt, status)) {
      const bool denied = error == EPERM || error == EACCES;
      return fail(denied ? Error::Kind::kDenied : error == ENOSYS ? Error::Kind::kUnsupported : Error::Kind::kSystem,
                  fmt::format("ask where pages are: move_pages: {}", std::strerror(error)),
                  denied ? kSeccompHint : "");
    }
    for (const int node : status) (node >= 0 ? found.bytes[node] : found.absent) += page;
  }
  return found;
}

}  // namespace numapin
