// The words of options and exports for the enumerations of plan.h.
#include <algorithm>
#include <array>

#include "numapin/plan.h"

namespace numapin {
namespace {

template <class T>
struct Word {
  T value;
  std::string_view word;
};

constexpr auto kScopes = std::to_array<Word<CpuScope>>({
    {CpuScope::kNode, "node"},           {CpuScope::kSocket, "socket"}, {CpuScope::kL3, "l3"},
    {CpuScope::kExclusive, "exclusive"}, {CpuScope::kSpread, "spread"}, {CpuScope::kAll, "all"},
    {CpuScope::kNone, "none"}});

constexpr auto kModes = std::to_array<Word<MemoryMode>>({
    {MemoryMode::kDefault, "default"},       {MemoryMode::kPreferred, "preferred"},
    {MemoryMode::kBind, "bind"},             {MemoryMode::kInterleave, "interleave"},
    {MemoryMode::kLocal, "local"},           {MemoryMode::kWeightedInterleave, "weighted-interleave"},
    {MemoryMode::kNone, "none"}});

constexpr auto kProfiles = std::to_array<Word<Profile>>({{Profile::kTraining, "training"}, {Profile::kInference, "inference"},
                                                        {Profile::kBigMemory, "big-memory"}});

template <class Table>
auto find_word(const Table& table, std::string_view word) -> std::optional<decltype(table[0].value)> {
  const auto it = std::find_if(table.begin(), table.end(), [&](const auto& w) { return w.word == word; });
  if (it == table.end()) return std::nullopt;
  return it->value;
}

template <class Table, class T>
std::string_view word_of(const Table& table, T value) {
  return std::find_if(table.begin(), table.end(), [&](const auto& w) { return w.value == value; })->word;
}

}  // namespace

std::string_view to_string(CpuScope s) { return word_of(kScopes, s); }
std::optional<CpuScope> parse_cpu_scope(std::string_view word) { return find_word(kScopes, word); }
std::optional<MemoryMode> parse_memory_mode(std::string_view word) { return find_word(kModes, word); }
std::optional<Profile> parse_profile(std::string_view word) { return find_word(kProfiles, word); }

void apply_profile(Profile profile, Job& job) {
  switch (profile) {
    case Profile::kTraining:
      job.memory = MemoryMode::kPreferred;
      return;
    case Profile::kInference:
      job.memory = MemoryMode::kBind;
      job.smt = false;
      return;
    case Profile::kBigMemory:
      job.memory = MemoryMode::kInterleave;
      job.memory_over_all = true;
      return;
  }
}

}  // namespace numapin
