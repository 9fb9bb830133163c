#include "sources/memory_estimate.h"

#include "base/numbers.h"
#include "base/text.h"
#include "sources/gpu_lists.h"

namespace numapin {
namespace {

struct Mapping {
  AddressRange range;
  std::string_view permissions, path;
};

/// "7f10c000-7f20c000 rw-p 00000000 00:01 1234   /dev/shm/x (deleted)"
std::optional<Mapping> parse_mapping(std::string_view line) {
  const auto words = split_words(line);
  if (words.size() < 5) return std::nullopt;
  const auto dash = words[0].find('-');
  if (dash == words[0].npos) return std::nullopt;
  const auto start = parse_number<std::uint64_t>(words[0].substr(0, dash), 16), end = parse_number<std::uint64_t>(words[0].substr(dash + 1), 16);
  if (!start || !end || *end <= *start) return std::nullopt;
  return Mapping{{*start, *end}, words[1], words.size() > 5 ? words[5] : std::string_view{}};
}

bool is_device(std::string_view path) {
  return path.starts_with("/dev/") && !path.starts_with("/dev/shm/") && !path.starts_with("/dev/zero") && !path.starts_with("/dev/hugepages/");
}

bool may_be_own(const Mapping& m) {
  if (m.permissions.starts_with("---") || is_device(m.path)) return false;
  if (m.path == "[vvar]" || m.path == "[vdso]" || m.path == "[vsyscall]" || m.path == "[vvar_vclock]") return false;
  if (m.path.empty() || m.path.front() != '/' || sources::is_shared_memory(m.path) || m.path.starts_with("/anon_hugepage")) return true;
  return m.permissions.starts_with("rw") && m.permissions.ends_with("p");  // what was written of it is its own
}

}  // namespace

std::vector<AddressRange> sources::own_ranges(std::string_view maps) {
  std::vector<AddressRange> out;
  for (const auto line : split_lines(maps))
    if (const auto m = parse_mapping(line); m && may_be_own(*m)) out.push_back(m->range);
  return out;
}

std::uint64_t sources::device_mapped_bytes(std::string_view maps) {
  std::uint64_t bytes = 0;
  for (const auto line : split_lines(maps))
    if (const auto m = parse_mapping(line); m && is_device(m->path)) bytes += m->range.end - m->range.start;
  return bytes;
}

std::optional<ProcessMemory> sources::estimate_memory(const FileTree& tree, int pid, int pages, std::uint64_t seed, const AskPages& ask) {
  const auto dir = "/proc/" + std::to_string(pid);
  const auto maps = tree.read(dir + "/maps");
  const auto status = tree.read(dir + "/status");
  if (!maps || !status) return std::nullopt;
  constexpr std::uint64_t kPage = 4096;  // of addresses: larger base pages are asked several times, which does no harm
  const auto estimate = sample_pages(own_ranges(*maps), kPage, pages, seed, ask);
  if (!estimate) return std::nullopt;
  const auto bytes = status_bytes(*status, "RssAnon").value_or(0) + status_bytes(*status, "RssShmem").value_or(0) +
                     status_bytes(*status, "HugetlbPages").value_or(0);
  ProcessMemory m;
  for (const auto& [node, s] : estimate->nodes) m.anon[node] = static_cast<std::uint64_t>(s.share * static_cast<double>(bytes));
  m.private_ = m.anon;
  m.sample_pages = estimate->asked;
  for (const auto& [node, s] : estimate->nodes) m.sample_shares[node] = {s.low, s.high};
  fill_unmovable(*status, m);
  m.device_bytes = device_mapped_bytes(*maps);
  return m;
}

}  // namespace numapin
