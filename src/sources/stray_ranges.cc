// Where a process has pages that should be elsewhere: numa_maps says on which nodes, maps says where a mapping ends.
#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/process.h"

namespace numapin {
namespace {

/// "7f10c000-7f20c000 rw-p ..." of maps: start -> end.
std::map<std::uint64_t, std::uint64_t> read_ends(const FileTree& tree, const std::string& dir) {
  std::map<std::uint64_t, std::uint64_t> ends;
  const auto maps = tree.read(dir + "maps");
  if (!maps) return ends;
  for (const auto line : split_lines(*maps)) {
    const auto dash = line.find('-'), blank = line.find(' ');
    if (dash == line.npos || blank == line.npos || blank < dash) continue;
    const auto start = parse_number<std::uint64_t>(line.substr(0, dash), 16);
    const auto end = parse_number<std::uint64_t>(line.substr(dash + 1, blank - dash - 1), 16);
    if (start && end && *start < *end) ends[*start] = *end;
  }
  return ends;
}

std::uint64_t page_bytes_of(std::string_view line) {
  constexpr std::string_view kKey = "kernelpagesize_kB=";
  const auto at = line.find(kKey);
  if (at == line.npos) return 4096;
  const auto rest = line.substr(at + kKey.size());
  return parse_number<std::uint64_t>(rest.substr(0, rest.find(' '))).value_or(4) * 1024;
}

}  // namespace

std::vector<StrayRange> stray_ranges(const FileTree& tree, int pid, const NodeSet& nodes) {
  const auto dir = "/proc/" + std::to_string(pid) + "/";
  std::vector<StrayRange> out;
  const auto numa_maps = tree.read(dir + "numa_maps");
  if (!numa_maps) return out;
  const auto ends = read_ends(tree, dir);
  for (const auto line : split_lines(*numa_maps)) {
    const auto page = page_bytes_of(line);
    const auto vma = parse_numa_maps_line(line, page, page);
    if (!vma || vma->use == Vma::Use::kFile || page == 0) continue;
    const auto end = ends.find(vma->start);
    if (end == ends.end()) continue;
    for (const auto& [node, bytes] : vma->bytes) {
      if (bytes == 0 || !nodes.contains(NodeId{node})) continue;
      out.push_back({vma->start, end->second, page});
      break;
    }
  }
  return out;
}

}  // namespace numapin
