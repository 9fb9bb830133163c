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

constexpr std::array kScopes{
    Word{CpuScope::kNode, "node"},           Word{CpuScope::kSocket, "socket"}, Word{CpuScope::kL3, "l3"},
    Word{CpuScope::kExclusive, "exclusive"}, Word{CpuScope::kSpread, "spread"}, Word{CpuScope::kAll, "all"},
    Word{CpuScope::kNone, "none"}};

constexpr std::array kModes{
    Word{MemoryMode::kDefault, "default"},       Word{MemoryMode::kPreferred, "preferred"},
    Word{MemoryMode::kBind, "bind"},             Word{MemoryMode::kInterleave, "interleave"},
    Word{MemoryMode::kLocal, "local"},           Word{MemoryMode::kWeightedInterleave, "weighted-interleave"},
    Word{MemoryMode::kNone, "none"}};

constexpr std::array kProfiles{Word{Profile::kTraining, "training"}, Word{Profile::kInference, "inference"},
                               Word{Profile::kBigMemory, "big-memory"}};

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
