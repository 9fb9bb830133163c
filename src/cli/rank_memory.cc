#include "cli/rank_memory.h"

#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/process.h"

namespace numapin::cli {

std::string look_at_memory(const FileTree& tree, const Plan& plan, const std::vector<int>& pids) {
  std::string text;
  for (std::size_t rank = 0; rank < pids.size(); ++rank) {
    const auto& p = plan.placements[rank];
    const auto& nodes = p.memory.nodes.empty() ? p.near_nodes : p.memory.nodes;
    if (pids[rank] == 0 || nodes.empty()) continue;
    RankMemory sum;
    for (const int pid : process_tree(tree, pids[rank])) {
      const auto process = read_process(tree, pid, {.threads = false, .memory = true});
      if (!process || !process->memory) continue;
      for (const auto& [node, bytes] : process->memory->own()) {
        sum.total_bytes += bytes;
        if (!nodes.contains(NodeId{node})) sum.elsewhere_bytes += bytes;
      }
    }
    if (sum.total_bytes > 0) text += fmt::format("{} {} {}\n", rank, sum.total_bytes, sum.elsewhere_bytes);
  }
  return text;
}

void take_memory(const std::string& text, std::vector<std::optional<RankMemory>>& seen) {
  for (const auto line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() != 3) continue;
    const auto rank = parse_number<std::size_t>(words[0]);
    const auto total = parse_number<std::uint64_t>(words[1]), elsewhere = parse_number<std::uint64_t>(words[2]);
    if (rank && total && elsewhere && *rank < seen.size()) seen[*rank] = RankMemory{*total, *elsewhere};
  }
}

}  // namespace numapin::cli
