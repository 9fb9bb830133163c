// The text of `numactl --hardware`, whole or as people paste it: quoted, indented, wrapped, with "..." or cut.
#include <fmt/format.h>

#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "machine/distance.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/paste.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "numactl --hardware text";
constexpr std::string_view kElided = "...";

struct Parser {
  Machine machine;
  NodeSet announced;
  // the list of CPUs being read, which goes on over wrapped lines until the next line with a name
  std::optional<NodeId> list_of;
  std::string list;
  int list_line = 0;
  std::vector<int> columns;  // node ids above the distance table
  bool in_distances = false;
  int line = 0;

  void note(std::string text) { machine.notes.push_back(std::move(text)); }
  void end_list(bool cut);
  void read_line(std::string_view text);
  bool read_node_line(std::string_view text);
  void read_memory(NodeId node, std::string_view name, std::string_view value);
  void read_distance_row(std::string_view text);
};

/// "0 1 2 3": numactl prints single numbers; people shorten them to ranges.
std::optional<CpuSet> parse_cpus(std::string_view list) {
  CpuSet cpus;
  for (auto word : split_words(list)) {
    const auto some = CpuSet::parse(word);
    if (!some) return std::nullopt;
    cpus |= *some;
  }
  return cpus;
}

void Parser::end_list(bool cut) {
  if (!list_of) return;
  const auto id = *list_of;
  list_of.reset();
  auto& node = node_of(machine, id);
  if (cut) return note(fmt::format("the CPU list of node {} is cut (line {})", number(id), list_line));
  if (list.find(kElided) != list.npos)
    return note(fmt::format("the CPU list of node {} is shortened by \"...\" (line {})", number(id), list_line));
  const auto cpus = parse_cpus(list);
  if (!cpus) return note(fmt::format("the CPU list of node {} is not a list of numbers (line {})", number(id), list_line));
  node.cpus = {*cpus, Source::kNumactl};
}

/// numactl counts in units of 2^20 bytes and calls them MB.
void Parser::read_memory(NodeId id, std::string_view name, std::string_view value) {
  const auto words = split_words(value);
  const auto mb = words.size() == 2 && words[1] == "MB" ? parse_number<std::uint64_t>(words[0]) : std::nullopt;
  if (!mb || *mb > (std::uint64_t{1} << 43)) {
    note(fmt::format("the {} of node {} is not a number of MB (line {})", name, number(id), line));
    return;
  }
  auto& node = node_of(machine, id);
  // One step at a time: g++ 12 with its sanitizers loses the value when the conditional is assigned to.
  auto& fact = name == "size" ? node.memory_total_bytes : node.memory_free_bytes;
  fact = {*mb << 20, Source::kNumactl};
}

/// "node 3 cpus: 0 1", "node 3 size: 10 MB"; the words may stand behind a file name or line number of grep.
bool Parser::read_node_line(std::string_view text) {
  const auto at = text.find("node ");
  if (at == text.npos) return false;
  const auto colon = text.find(':', at);
  if (colon == text.npos) return false;
  const auto words = split_words(text.substr(at, colon - at));
  if (words.size() != 3) return false;
  const auto id = parse_number<int>(words[1]);
  if (!id || *id < 0 || *id >= kMaxIds) return false;
  const auto value = text.substr(colon + 1);
  if (words[2] == "cpus") {
    end_list(false);
    node_of(machine, NodeId{*id});
    list_of = NodeId{*id};
    list = value;
    list_line = line;
    return true;
  }
  if (words[2] != "size" && words[2] != "free") return false;
  end_list(false);
  read_memory(NodeId{*id}, words[2], value);
  return true;
}

/// "  0:  10  21": the cells belong to the first columns, also where the row is cut.
void Parser::read_distance_row(std::string_view text) {
  const auto colon = text.find(':');
  const auto id = parse_number<int>(trim(text.substr(0, colon)));
  if (colon == text.npos || !id || *id < 0 || *id >= kMaxIds) return;
  const auto cells = split_words(text.substr(colon + 1));
  std::map<int, int> distances;
  for (std::size_t i = 0; i < cells.size() && i < columns.size(); ++i) {
    const auto d = parse_number<int>(cells[i]);
    if (d && (columns[i] == *id ? *d == kLocalDistance : *d > 0)) distances[columns[i]] = *d;
  }
  if (distances.size() < columns.size())
    note(fmt::format("the distances of node {} are not whole (line {})", *id, line));
  if (!distances.empty()) node_of(machine, NodeId{*id}).distances = {std::move(distances), Source::kNumactl};
}

void Parser::read_line(std::string_view text) {
  if (const auto at = text.find("available:"); at != text.npos) {
    const auto open = text.find('(', at), close = text.find(')', at);
    if (open == text.npos || close == text.npos || close < open) return;
    if (auto nodes = NodeSet::parse(text.substr(open + 1, close - open - 1))) announced = *nodes;
    return;
  }
  if (text.find("node distances:") != text.npos) {
    end_list(false);
    in_distances = true;
    return;
  }
  if (read_node_line(text)) return;
  text = unquote(text);
  if (trim(text) == kElided) return note(fmt::format("lines are left out (line {})", line));
  if (list_of) {
    list += ' ';
    list += text;
    return;
  }
  if (!in_distances) return;
  if (const auto words = split_words(text); !words.empty() && words[0] == "node") {
    columns.clear();
    for (std::size_t i = 1; i < words.size(); ++i)
      if (const auto id = parse_number<int>(words[i]); id && *id >= 0 && *id < kMaxIds) {
        columns.push_back(*id);
        node_of(machine, NodeId{*id});
      }
    return;
  }
  read_distance_row(text);
}

/// Where the text stops without a line end, its last word may be the first digits of a longer one.
std::string_view without_cut_word(std::string_view text) {
  if (!ends_in_a_line(text)) return text;
  const auto blank = text.find_last_of(" \t\n");
  return text.substr(0, blank == text.npos ? 0 : blank + 1);
}

/// A text without a final line end is whole all the same when it ends in "MB", or in the last cell of a square table:
/// a node's distance to itself, 10 by definition.
bool ends_whole(std::string_view text, const Parser& parser) {
  if (text.ends_with(" MB")) return true;
  if (parser.columns.empty() || parser.machine.nodes.empty()) return false;
  const auto& last = parser.machine.nodes.back();
  const auto id = number(last.id);
  return id == parser.columns.back() && last.distances && last.distances->contains(id) &&
         last.distances->at(id) == kLocalDistance;
}

}  // namespace

Result<Machine> from_numactl_hardware(std::string_view pasted) {
  if (pasted.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  const auto text = clean_paste(pasted);
  const auto parse = [](std::string_view lines) {
    Parser parser;
    for (auto line : split_lines(lines)) {
      ++parser.line;
      parser.read_line(line);
    }
    return parser;
  };
  auto parser = parse(text);
  // "node 1 size:" always follows a list: a list at the end is a cut one.
  const bool list_at_end = parser.list_of.has_value();
  if (ends_in_a_line(text) && !list_at_end && !ends_whole(text, parser))
    parser = parse(without_cut_word(text));
  parser.end_list(true);
  auto& m = parser.machine;
  if (m.nodes.empty())
    return bad_text(kWhat, 1, 1, "no line \"node N cpus:\" or \"node N size:\" is in it",
                    "paste the whole output of numactl --hardware");
  NodeSet listed;
  for (const auto& node : m.nodes) listed.insert(node.id);
  if (!parser.announced.empty() && parser.announced != listed)
    parser.note(fmt::format("the text announces nodes {} and lists nodes {}", parser.announced.to_list(), listed.to_list()));
  for (auto& node : m.nodes)
    if (node.memory_free_bytes.value_or(0) > node.memory_total_bytes.value_or(~std::uint64_t{0})) node.memory_free_bytes = {};
  mark_memory_only_nodes(m, Source::kNumactl);
  return std::move(m);
}

}  // namespace numapin
