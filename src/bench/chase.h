// Pointer chase: each load's address is what the load before it brought, so that nothing overlaps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace numapin {

constexpr std::size_t kLine = 64;

/// Threads one cycle through every cache line of the buffer, in random order (Sattolo's), and returns where it starts.
/// The order is random over the whole buffer: no prefetcher follows it, and with small pages most loads miss the TLB.
void* make_chase(char* data, std::uint64_t bytes, std::uint64_t seed = 1);

/// Follows `loads` pointers (rounded up to 64) from `from` on, returns where it got to and takes the ns a load.
void* chase(void* from, std::uint64_t loads, double& ns_a_load);

}  // namespace numapin
