#include "cli/children.h"

#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin::cli {

std::vector<int> children_of(const FileTree& tree, int pid) {
  std::vector<int> children;
  const auto tasks = fmt::format("/proc/{}/task", pid);
  const auto tids = tree.list(tasks);
  if (!tids) return children;
  for (const auto& tid : *tids) {
    const auto text = tree.read(fmt::format("{}/{}/children", tasks, tid));
    if (!text) continue;
    for (const auto word : split_words(*text))
      if (const auto child = parse_number<int>(word)) children.push_back(*child);
  }
  return children;
}

std::vector<int> family_of(const FileTree& tree, int pid) {
  constexpr std::size_t kMost = 10000;  // while we look, processes end and their numbers are used again
  std::vector<int> family = {pid};
  for (std::size_t i = 0; i < family.size() && family.size() < kMost; ++i)
    for (const int child : children_of(tree, family[i])) family.push_back(child);
  return family;
}

}  // namespace numapin::cli
