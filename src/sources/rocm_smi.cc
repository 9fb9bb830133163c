// The texts of `rocm-smi --showtopo` and `--showtoponuma`: a node for each GPU, and matrices between GPUs.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/paste.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "rocm-smi text";
constexpr Source kFrom = Source::kRocmSmi;
constexpr std::uint16_t kAmd = 0x1002;
constexpr int kMaxGpus = 1024;

/// What the text says of one GPU. Outer optional: is there such a line; inner: does it hold a node ("-1" is none).
struct Said {
  std::optional<std::optional<NodeId>> node, affinity;
};

struct Parser {
  std::map<int, Said> gpus;
  std::map<std::pair<int, int>, Link> links;
  std::vector<int> columns;  // GPUs above the matrix being read
  std::string_view title;    // of the section: "Weight between two GPUs"
  std::vector<std::string> notes;

  void read_line(std::string_view line, bool may_be_cut);
  void read_gpu_line(std::string_view line, bool may_be_cut);
  void read_matrix_row(const std::vector<std::string_view>& words, bool may_be_cut);
};

std::optional<int> gpu_number(std::string_view word) {
  if (!word.starts_with("GPU")) return std::nullopt;
  const auto n = parse_number<int>(word.substr(3));
  return n && *n >= 0 && *n < kMaxGpus ? n : std::nullopt;
}

std::optional<NodeId> node_in(std::string_view value) {
  const auto id = parse_number<int>(value);
  if (!id || *id < 0 || *id >= kMaxIds) return std::nullopt;
  return NodeId{*id};
}

/// "GPU[0]  : (Topology) Numa Node: 3"
void Parser::read_gpu_line(std::string_view line, bool may_be_cut) {
  const auto close = line.find(']');
  if (close == line.npos) return;
  const auto gpu = parse_number<int>(line.substr(4, close - 4));
  const auto colon = line.find(':', close);
  if (!gpu || *gpu < 0 || *gpu >= kMaxGpus || colon == line.npos) return;
  auto& said = gpus[*gpu];
  auto rest = trim(line.substr(colon + 1));
  constexpr std::string_view kTopology = "(Topology)";
  if (!rest.starts_with(kTopology) || may_be_cut) return;
  rest = trim(rest.substr(kTopology.size()));
  const auto name_end = rest.find(':');
  if (name_end == rest.npos) return;
  const auto name = to_lower(rest.substr(0, name_end));
  if (name == "numa node") said.node = node_in(trim(rest.substr(name_end + 1)));
  if (name == "numa affinity") said.affinity = node_in(trim(rest.substr(name_end + 1)));
}

/// Cells are link types ("XGMI", "PCIE"), weights or hops. A type may stand below the title "Weight" when the tool
/// failed in between; "XXXX" is what some releases print between partitions of one package.
void Parser::read_matrix_row(const std::vector<std::string_view>& words, bool may_be_cut) {
  const auto from = gpu_number(words[0]);
  const auto cells = words.size() - 1 - (may_be_cut ? 1 : 0);
  for (std::size_t i = 0; i < cells && i < columns.size(); ++i) {
    const auto cell = words[i + 1];
    const int to = columns[i];
    if (*from == to) continue;
    auto& link = links[{*from, to}];
    if (cell == "XGMI") {
      link.kind = LinkKind::kXgmi;
      link.source = kFrom;
    }
    if (title.find("Weight") != title.npos)
      if (const auto weight = parse_number<int>(cell)) link.weight = *weight;
  }
}

void Parser::read_line(std::string_view line, bool may_be_cut) {
  line = unquote(line);
  if (line.find("between two GPUs") != line.npos) {
    title = line;
    columns.clear();
    return;
  }
  if (const auto at = line.find("GPU["); at != line.npos && line.find("ERROR") == line.npos)
    return read_gpu_line(line.substr(at), may_be_cut);
  const auto words = split_words(line);
  if (words.empty() || !gpu_number(words[0])) return;
  if (std::all_of(words.begin(), words.end(), [](auto w) { return gpu_number(w).has_value(); })) {
    columns.clear();
    for (auto w : words) columns.push_back(*gpu_number(w));
    return;
  }
  gpus.try_emplace(*gpu_number(words[0]));
  read_matrix_row(words, may_be_cut);
}

/// Releases of 2024 printed "Numa Node: 0" for partitions on other nodes: where the two lines differ, which of them
/// is right depends on the release, so neither is taken.
std::optional<NodeId> settle(int gpu, const Said& said, bool both_expected, std::vector<std::string>& notes) {
  if (!said.node || !said.affinity) {
    if (both_expected) return std::nullopt;
    if (said.node) return *said.node;
    return said.affinity ? *said.affinity : std::nullopt;
  }
  if (*said.node == *said.affinity) return *said.node;
  const auto show = [](std::optional<NodeId> id) { return id ? fmt::format("{}", number(*id)) : "none"; };
  notes.push_back(fmt::format("GPU{}: \"Numa Node\" is {} and \"Numa Affinity\" is {}; its node is unknown", gpu,
                              show(*said.node), show(*said.affinity)));
  return std::nullopt;
}

}  // namespace

Result<Machine> from_rocm_smi(std::string_view text) {
  if (text.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  Parser parser;
  const auto clean = clean_paste(text);
  const auto lines = split_lines(clean);
  for (std::size_t i = 0; i < lines.size(); ++i)
    parser.read_line(lines[i], i + 1 == lines.size() && ends_in_a_line(clean));
  if (parser.gpus.empty())
    return bad_text(kWhat, 1, 1, "no line \"GPU[0] : (Topology) Numa Node:\" and no matrix of GPUs is in it",
                    "paste the whole output of rocm-smi --showtopo");
  Machine m;
  m.notes = std::move(parser.notes);
  const bool both_expected = std::any_of(parser.gpus.begin(), parser.gpus.end(), [](const auto& g) {
    return g.second.node && g.second.affinity;
  });
  std::map<int, DeviceRef> refs;
  for (const auto& [index, said] : parser.gpus) {
    Gpu gpu;
    gpu.index = static_cast<int>(m.gpus.size());
    refs[index] = {DeviceRef::Type::kGpu, gpu.index};
    gpu.name = fmt::format("GPU{}", index);
    gpu.vendor = kAmd;
    if (const auto node = settle(index, said, both_expected, m.notes)) {
      gpu.numa_nodes = {NodeSet::of(*node), kFrom};
      node_of(m, *node);
    }
    m.gpus.push_back(std::move(gpu));
  }
  LinkMap links;
  for (const auto& [ends, link] : parser.links)
    if (link.source != Source::kNone && refs.contains(ends.second))
      links[{refs.at(ends.first), refs.at(ends.second)}] = link;
  set_links(m, std::move(links));
  return m;
}

}  // namespace numapin
