// Names of the enumerators of analyze.h, and back.
#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/analyze.h"

namespace numapin {

std::string_view to_string(Basis b) {
  switch (b) {
    case Basis::kMeasured: return "measured";
    case Basis::kHmat: return "hmat";
    case Basis::kLink: return "link";
    case Basis::kPublished: return "published";
    case Basis::kGuess: return "guess";
    case Basis::kUnlimited: return "unlimited";
    case Basis::kUnknown: break;
  }
  return "unknown";
}

std::string_view to_string(LinkType t) {
  switch (t) {
    case LinkType::kMemory: return "memory";
    case LinkType::kOnDie: return "on-die";
    case LinkType::kInterconnect: return "interconnect";
    case LinkType::kPcie: return "pcie";
    case LinkType::kNvlink: return "nvlink";
    case LinkType::kXgmi: return "xgmi";
    case LinkType::kC2c: return "c2c";
    case LinkType::kPort: return "port";
  }
  return "on-die";
}

std::string_view to_string(Reach r) {
  switch (r) {
    case Reach::kDirect: return "direct";
    case Reach::kSwitch: return "switch";
    case Reach::kSwitches: return "switches";
    case Reach::kHost: return "cpu";
    case Reach::kNode: return "node";
    case Reach::kSocket: return "socket";
    case Reach::kUnknown: break;
  }
  return "unknown";
}

namespace {

struct PatternWord {
  Pattern pattern;
  std::string_view word;
};
constexpr PatternWord kPatterns[] = {
    {Pattern::kLoad, "load"},         {Pattern::kSave, "save"},         {Pattern::kRing, "ring"}, {Pattern::kTree, "tree"},
    {Pattern::kAllToAll, "alltoall"}, {Pattern::kPipeline, "pipeline"}, {Pattern::kRdma, "rdma"},
};

}  // namespace

std::string_view to_string(Pattern p) {
  for (const auto& row : kPatterns)
    if (row.pattern == p) return row.word;
  return "load";
}

std::optional<Pattern> parse_pattern(std::string_view word) {
  for (const auto& row : kPatterns)
    if (row.word == word) return row.pattern;
  return std::nullopt;
}

std::string pattern_words() {
  std::vector<std::string> words;
  for (const auto& row : kPatterns) words.emplace_back(row.word);
  return join(words, ", ");
}

std::optional<DeviceRef> parse_end(std::string_view word) {
  for (const auto& [prefix, type] : {std::pair<std::string_view, DeviceRef::Type>{"gpu", DeviceRef::Type::kGpu},
                                     {"nic", DeviceRef::Type::kNic},
                                     {"node", DeviceRef::Type::kNode}}) {
    if (!word.starts_with(prefix)) continue;
    if (const auto index = parse_number<int>(word.substr(prefix.size())); index && *index >= 0) return DeviceRef{type, *index};
  }
  return std::nullopt;
}

std::string to_string(DeviceRef end) {
  switch (end.type) {
    case DeviceRef::Type::kGpu: return fmt::format("GPU {}", end.index);
    case DeviceRef::Type::kNic: return fmt::format("NIC {}", end.index);
    case DeviceRef::Type::kNode: break;
  }
  return fmt::format("memory of node {}", end.index);
}

Result<Binding> parse_binding(std::string_view word) {
  if (word == "local") return Binding{};
  if (word == "interleave") return Binding{Binding::Kind::kInterleave, {}};
  if (word.starts_with("node"))
    if (const auto id = parse_number<int>(word.substr(4)); id && *id >= 0 && *id < kMaxIds) return Binding{Binding::Kind::kNode, NodeId{*id}};
  return bad_input(fmt::format("read --bind '{}': no such place", word), "local, interleave, or a node: node0");
}

}  // namespace numapin
