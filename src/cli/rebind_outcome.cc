#include "cli/rebind_outcome.h"

namespace numapin::cli {

std::optional<double> MemoryOutcome::bytes_per_second() const {
  if (moved() == 0 || timing.seconds <= 0) return std::nullopt;
  return static_cast<double>(moved()) / timing.seconds;
}

std::vector<std::pair<std::string, std::uint64_t>> MemoryOutcome::stayed_by_reason() const {
  std::uint64_t explained = 0;
  for (const auto& [reason, pages] : why.pages) explained += pages;
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (const auto& [reason, pages] : why.pages)
    out.emplace_back(reason, static_cast<std::uint64_t>(static_cast<double>(stayed) * static_cast<double>(pages) / static_cast<double>(explained)));
  return out;
}

std::vector<ProcessOutcome> without_memory(const std::vector<ProcessChange>& changes) {
  std::vector<ProcessOutcome> out;
  for (const auto& change : changes) out.push_back({change, std::nullopt});
  return out;
}

}  // namespace numapin::cli
