// The texts of lscpu: the list of "name: value" lines (also --hex) and the table of --extended.
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

constexpr std::string_view kWhat = "lscpu text";
constexpr Source kFrom = Source::kLscpu;

// ---- "name: value" -----------------------------------------------------------------------------------------------

struct Field {
  std::string_view name, value;
  int line = 0;
  bool cut = false;  ///< the text stops inside this line
};

std::vector<Field> read_fields(std::string_view text) {
  std::vector<Field> fields;
  int number = 0;
  for (auto line : split_lines(text)) {
    ++number;
    const auto at = unquote(line);
    const auto colon = at.find(':');
    if (colon != at.npos) fields.push_back({trim(at.substr(0, colon)), trim(at.substr(colon + 1)), number, false});
  }
  if (!fields.empty() && ends_in_a_line(text) && fields.back().line == number) fields.back().cut = true;
  return fields;
}

const Field* find_field(const std::vector<Field>& fields, std::string_view name) {
  for (const auto& f : fields)
    if (f.name == name) return &f;
  return nullptr;
}

/// "NUMA node12 CPU(s)" -> 12
std::optional<NodeId> node_of_name(std::string_view name) {
  constexpr std::string_view kBefore = "NUMA node", kAfter = " CPU(s)";
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter)) return std::nullopt;
  name.remove_prefix(kBefore.size());
  name.remove_suffix(std::min(name.size(), kAfter.size()));
  const auto id = parse_number<int>(name);
  if (!id || *id < 0 || *id >= kMaxIds) return std::nullopt;
  return NodeId{*id};
}

/// With --hex every set is a mask, but only newer versions print "0x": then the name of another line, or a letter
/// in one of the sets, tells.
bool has_masks(const std::vector<Field>& fields) {
  for (const auto& f : fields) {
    if (f.name == "On-line CPU(s) mask") return true;
    if (f.name == "On-line CPU(s) list") return false;
  }
  for (const auto& f : fields)
    if (node_of_name(f.name) && f.value.find_first_of("abcdefABCDEFx") != f.value.npos) return true;
  return false;
}

std::optional<CpuSet> read_set(Machine& m, const Field& field, bool mask) {
  if (field.cut) {
    m.notes.push_back(fmt::format("the text ends in \"{}\" (line {})", field.name, field.line));
    return std::nullopt;
  }
  if (field.value.empty()) return CpuSet{};
  auto set = mask ? CpuSet::parse_mask(field.value) : CpuSet::parse(field.value);
  if (set) return *set;
  m.notes.push_back(fmt::format("\"{}\" is not a set of CPUs (line {})", field.name, field.line));
  return std::nullopt;
}

Fact<std::string> text_of(const std::vector<Field>& fields, std::string_view name) {
  const auto* f = find_field(fields, name);
  if (f == nullptr || f->cut || f->value.empty() || f->value == "-") return {};
  return {std::string(f->value), kFrom};
}

void note_missing_nodes(Machine& m, const std::vector<Field>& fields) {
  const auto* f = find_field(fields, "NUMA node(s)");
  const auto announced = f == nullptr || f->cut ? std::nullopt : parse_number<std::size_t>(f->value);
  if (announced && *announced != m.nodes.size())
    m.notes.push_back(fmt::format("the text announces {} nodes and lists {}", *announced, m.nodes.size()));
}

Result<Machine> from_list(std::string_view text) {
  const auto fields = read_fields(text);
  const bool mask = has_masks(fields);
  Machine m;
  m.architecture = text_of(fields, "Architecture");
  m.cpu_model = text_of(fields, "Model name");
  const auto* online = find_field(fields, mask ? "On-line CPU(s) mask" : "On-line CPU(s) list");
  const auto* offline = find_field(fields, mask ? "Off-line CPU(s) mask" : "Off-line CPU(s) list");
  if (online != nullptr)
    if (auto set = read_set(m, *online, mask); set && !set->empty()) m.online = {*set, kFrom};
  if (offline != nullptr)
    if (auto set = read_set(m, *offline, mask)) m.offline = {*set, kFrom};
  for (const auto& f : fields) {
    const auto id = node_of_name(f.name);
    if (!id) continue;
    auto& node = node_of(m, *id);
    if (auto set = read_set(m, f, mask)) node.cpus = {*set, kFrom};
  }
  if (m.nodes.empty() && !m.online && !m.architecture)
    return bad_text(kWhat, 1, 1, "no line \"NUMA node0 CPU(s):\", \"On-line CPU(s) list:\" or \"Architecture:\" is in it",
                    "paste the whole output of lscpu");
  note_missing_nodes(m, fields);
  drop_contradictions(m);
  return m;
}

// ---- the table of --extended -------------------------------------------------------------------------------------

constexpr std::string_view kAbsent = "-";

struct Table {
  std::vector<std::string_view> columns;
  int line = 0;

  std::optional<std::size_t> find(std::string_view name) const {
    for (std::size_t i = 0; i < columns.size(); ++i)
      if (columns[i] == name) return i;
    return std::nullopt;
  }
};

struct Row {
  std::vector<std::string_view> cells;

  /// The cell of a column, "" where there is no such column or the tool prints "-".
  std::string_view cell(const Table& table, std::string_view name) const {
    const auto at = table.find(name);
    return at && cells[*at] != kAbsent ? cells[*at] : std::string_view{};
  }
};

std::optional<int> id_of(std::string_view cell) {
  const auto id = parse_number<int>(cell);
  return id && *id >= 0 && *id < kMaxIds ? id : std::nullopt;
}

/// The name of the L3 column: "L1d:L1i:L2:L3" holds it behind colons, "L3" alone in a chosen set of columns.
std::string_view l3_of(const Table& table, const Row& row) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const auto names = split(table.columns[i], ':');
    const auto cells = split(row.cells[i], ':');
    for (std::size_t k = 0; k < names.size(); ++k)
      if (names[k] == "L3" && k < cells.size() && cells[k] != kAbsent) return cells[k];
  }
  return {};
}

/// CPUs by what they share. Core numbers may start again in each socket, book or drawer, so these belong to the key.
struct Groups {
  std::map<std::string, Core> cores;
  std::map<int, CpuSet> nodes, packages;
  std::map<std::string, CpuSet> l3;
  CpuSet online, offline;

  bool contains(CpuId cpu) const { return online.contains(cpu) || offline.contains(cpu); }
  void add(const Table& table, const Row& row, CpuId cpu);
  Machine machine() const;
};

void Groups::add(const Table& table, const Row& row, CpuId cpu) {
  const auto state = row.cell(table, "ONLINE");
  if (state == "no") return offline.insert(cpu);
  online.insert(cpu);
  const auto node = id_of(row.cell(table, "NODE")), socket = id_of(row.cell(table, "SOCKET"));
  if (node) nodes[*node].insert(cpu);
  if (socket) packages[*socket].insert(cpu);
  if (const auto l3_id = l3_of(table, row); !l3_id.empty()) l3[std::string(l3_id)].insert(cpu);
  const auto core_id = row.cell(table, "CORE");
  if (core_id.empty()) return;
  const auto key = fmt::format("{}/{}/{}/{}", row.cell(table, "DRAWER"), row.cell(table, "BOOK"),
                               row.cell(table, "SOCKET"), core_id);
  const auto node_id = node ? std::optional(NodeId{*node}) : std::nullopt;
  auto& core = cores.try_emplace(key, Core{{}, socket, node_id, {}, {}, {}}).first->second;
  core.cpus.insert(cpu);
  if (core.node != node_id) core.node.reset();
}

template <class T>
void sort_by_first_cpu(std::vector<T>& items) {
  std::sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.cpus.first() < b.cpus.first(); });
}

Machine Groups::machine() const {
  Machine m;
  m.online = {online, kFrom};
  m.offline = {offline, kFrom};
  for (const auto& [id, cpus] : nodes) node_of(m, NodeId{id}).cpus = {cpus, kFrom};
  for (const auto& [id, cpus] : packages) m.packages.push_back({id, cpus});
  for (const auto& [key, core] : cores) m.cores.push_back(core);
  for (const auto& [key, cpus] : l3) m.l3.push_back({cpus, std::nullopt});
  sort_by_first_cpu(m.cores);
  sort_by_first_cpu(m.l3);
  return m;
}

std::optional<Table> find_table(const std::vector<std::string_view>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    Table table{split_words(unquote(lines[i])), static_cast<int>(i) + 1};
    if (table.columns.size() > 1 && table.columns[0] == "CPU" &&
        (table.find("NODE") || table.find("SOCKET") || table.find("CORE") || table.find("ONLINE")))
      return table;
  }
  return std::nullopt;
}

/// A row may be cut in its last cell: harmless in a clock rate, but "1" may be half of "12".
bool last_cell_may_be_cut(const Table& table, const Row& row) {
  const auto& last = table.columns.back();
  return !last.ends_with("MHZ") && row.cells.back() != "yes" && row.cells.back() != "no";
}

Result<Machine> from_table(const Table& table, const std::vector<std::string_view>& lines, bool cut_at_end) {
  Groups groups;
  std::vector<std::string> notes;
  for (auto i = static_cast<std::size_t>(table.line); i < lines.size(); ++i) {
    const Row row{split_words(unquote(lines[i]))};
    if (row.cells.empty()) continue;
    const auto cpu = id_of(row.cells[0]);
    const bool cut = cut_at_end && i + 1 == lines.size() && row.cells.size() == table.columns.size() &&
                     last_cell_may_be_cut(table, row) && !groups.online.empty();
    const auto state = row.cells.size() == table.columns.size() ? row.cell(table, "ONLINE") : std::string_view{};
    if (!cpu || groups.contains(CpuId{*cpu}) || cut || row.cells.size() != table.columns.size() || !(state.empty() || state == "yes" || state == "no"))
      notes.push_back(fmt::format("line {} is not a whole row of a new CPU", i + 1));
    else
      groups.add(table, row, CpuId{*cpu});
  }
  if (groups.online.empty())
    return bad_text(kWhat, table.line, 1, "the table has no row of an online CPU",
                    "paste the whole output of lscpu --all --extended");
  auto m = groups.machine();
  m.notes = std::move(notes);
  return m;
}

}  // namespace

Result<Machine> from_lscpu(std::string_view pasted) {
  if (pasted.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  const auto text = clean_paste(pasted);
  const auto lines = split_lines(text);
  if (const auto table = find_table(lines)) return from_table(*table, lines, ends_in_a_line(text));
  return from_list(text);
}

}  // namespace numapin
