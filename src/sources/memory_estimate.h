// The memory of a process that would be dear to count, from a sample of its pages.
#pragma once

#include <string_view>
#include <vector>

#include "diagnose/page_sample.h"
#include "numapin/process.h"

namespace numapin::sources {

/// Of /proc/PID/maps: where a process's own memory may be. Without what it cannot touch (PROT_NONE), the page cache of
/// files, and what devices map.
std::vector<AddressRange> own_ranges(std::string_view maps);
/// Bytes of addresses that GPU and network drivers mapped: nobody can move what is behind them.
std::uint64_t device_mapped_bytes(std::string_view maps);

/// Nothing where the process cannot be read or asked. All memory is in `anon`: a sample does not tell heap from stack.
/// The size is the kernel's own count (RssAnon, RssShmem, HugetlbPages); only its parts by node are estimated.
std::optional<ProcessMemory> estimate_memory(const FileTree& tree, int pid, int pages, std::uint64_t seed, const AskPages& ask);

}  // namespace numapin::sources
