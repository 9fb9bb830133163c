// srun: masks for every task, in the order of the ranks (srun(1), --cpu-bind and --mem-bind; task/affinity).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/export.h"

namespace numapin {
namespace {

/// "0xf0000000f": one number, as srun reads it; the kernel's form has commas between 32-bit groups.
template <class Set>
std::string hex_mask(const Set& set) {
  auto digits = set.to_mask();
  std::erase(digits, ',');
  const auto first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return "0x" + digits.substr(first);
}

std::string memory_option(const std::vector<Placement>& ranks) {
  const auto mode = ranks[0].memory.mode;
  std::vector<std::string> masks;
  for (const auto& p : ranks) {
    if (p.memory.mode != mode || p.memory.nodes.empty()) return "";
    masks.push_back(hex_mask(p.memory.nodes));
  }
  if (mode == MemoryMode::kBind) return "--mem-bind=mask_mem:" + join(masks, ",");
  if (mode == MemoryMode::kPreferred || mode == MemoryMode::kPreferredOne)
    return "--mem-bind=prefer,mask_mem:" + join(masks, ",");
  return "";
}

}  // namespace

Result<std::string> export_slurm(const ExportRequest& r) {
  const auto& ranks = r.plan.placements;
  std::vector<std::string> words{fmt::format("srun --nodes=1 --ntasks={} --exclusive", ranks.size())}, masks;
  for (const auto& p : ranks)
    if (!p.cpus.empty()) masks.push_back(hex_mask(p.cpus));
  if (masks.size() == ranks.size()) words.push_back("--cpu-bind=mask_cpu:" + join(masks, ","));
  const auto memory = memory_option(ranks);
  if (!memory.empty()) words.push_back(memory);
  std::string text;
  if (masks.size() != ranks.size()) text += "# CPUs: not bound, as the place of a GPU is unknown\n";
  if (memory.empty()) text += "# memory: srun has no option for this policy; --mem-bind=local follows the CPUs\n";
  const bool has_env = std::any_of(ranks.begin(), ranks.end(), [](const Placement& p) { return !p.env.empty(); });
  const auto script = case_of_ranks(r.plan, "", [](const Placement& p) {
    return fmt::format("exec {}{}\"$@\"", p.env.empty() ? "" : "env ", env_words(p));
  });
  // Every task sets its own variables; all tasks keep access to all GPUs, so that peer access works.
  words.push_back(has_env ? fmt::format("bash -c {} bash {}", shell_word(script), command_words(r, "COMMAND"))
                          : command_words(r, "COMMAND"));
  return text + join(words, " ") + "\n";
}

}  // namespace numapin
