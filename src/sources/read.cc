#include "sources/read.h"

#include <algorithm>

#include "base/text.h"

namespace numapin::sources {

std::optional<std::string> read_text(const FileTree& tree, const std::string& path) {
  const auto text = tree.read(path);
  if (!text) return std::nullopt;
  return std::string(trim(*text));
}

std::optional<CpuSet> read_cpus(const FileTree& tree, const std::string& list_path, const std::string& mask_path) {
  if (const auto text = tree.read(list_path)) {
    if (auto cpus = CpuSet::parse(*text)) return std::move(*cpus);
  }
  if (mask_path.empty()) return std::nullopt;
  if (const auto text = tree.read(mask_path)) {
    if (auto cpus = CpuSet::parse_mask(*text)) return std::move(*cpus);
  }
  return std::nullopt;
}

std::vector<int> numbered_entries(const FileTree& tree, const std::string& dir, std::string_view prefix) {
  std::vector<int> numbers;
  for (const auto& name : entries(tree, dir)) {
    if (!name.starts_with(prefix)) continue;
    const auto n = parse_number<int>(std::string_view(name).substr(prefix.size()));
    if (n && *n >= 0 && *n < kMaxIds) numbers.push_back(*n);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<std::string> entries(const FileTree& tree, const std::string& dir) {
  auto names = tree.list(dir);
  return names ? std::move(*names) : std::vector<std::string>{};
}

std::optional<std::string> field(std::string_view text, std::string_view key) {
  for (const auto line : split_lines(text)) {
    const auto colon = line.find(':');
    if (colon == line.npos || trim(line.substr(0, colon)) != key) continue;
    return std::string(trim(line.substr(colon + 1)));
  }
  return std::nullopt;
}

std::string read_first_cpuinfo(const FileTree& tree) {
  auto text = tree.read("/proc/cpuinfo").value_or("");
  text.erase(std::min(text.find("\n\n"), text.size()));
  return text;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace numapin::sources
