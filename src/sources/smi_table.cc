#include "sources/smi_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/numbers.h"
#include "base/text.h"
#include "sources/paste.h"

namespace numapin {
namespace {

constexpr std::string_view kBlank = " \t";
// A cell may stand this far from its header when tabs (stops of 8) became spaces.
constexpr int kMaxDrift = 7;

struct Token {
  std::string text;
  std::size_t at = 0;  ///< offset in its line; SIZE_MAX on the second line of a wrapped row
};

std::vector<Token> tokenize(std::string_view line, std::size_t from = 0) {
  std::vector<Token> out;
  for (auto at = line.find_first_not_of(kBlank, from); at != line.npos;) {
    const auto end = line.find_first_of(kBlank, at);
    out.push_back({std::string(line.substr(at, end - at)), at});
    at = end == line.npos ? end : line.find_first_not_of(kBlank, end);
  }
  return out;
}

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The name of a device as it heads a column: "GPU0", "NIC12", "mlx5_0", "rocep12s0", "mlx5_bond_0".
bool is_device_name(std::string_view word) {
  if (word.size() < 3 || !is_letter(word.front())) return false;
  const bool plain = std::all_of(word.begin(), word.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
  });
  return plain && std::any_of(word.begin(), word.end(), is_digit) && !parse_link(word);
}

/// Where a line wrapped, two column heads may run together: "NIC12NIC13". Only names with a fixed shape can be parted.
std::vector<std::string> part_names(std::string_view word) {
  std::vector<std::string> out;
  while (!word.empty()) {
    std::size_t end = 3;
    if (!word.starts_with("GPU") && !word.starts_with("NIC")) break;
    while (end < word.size() && is_digit(word[end])) ++end;
    if (end == 3) break;
    out.emplace_back(word.substr(0, end));
    word.remove_prefix(end);
  }
  if (!word.empty()) out.emplace_back(word);
  return out;
}

/// Takes matrix cells off the front of a word: usually it is one cell, but "NODENODE" is two and "SYS0-23" is one
/// with the next column glued to it. Returns what is left.
std::string_view take_links(std::string_view word, std::size_t limit, std::vector<Link>& out) {
  while (!word.empty() && limit > 0) {
    std::size_t length = 0;
    if (word.starts_with("NV") && word.size() > 2 && is_digit(word[2])) {
      length = 3;
      while (length < word.size() && is_digit(word[length])) ++length;
    }
    for (std::string_view cell : {"NODE", "PIX", "PXB", "PHB", "SYS", "SOC", "C2C", "X"})
      if (length == 0 && word.starts_with(cell)) length = cell.size();
    const auto link = length == 0 ? std::nullopt : parse_link(word.substr(0, length));
    if (!link) break;
    out.push_back(*link);
    word.remove_prefix(length);
    --limit;
  }
  return word;
}

bool is_link_word(std::string_view word) {
  std::vector<Link> links;
  return take_links(word, word.size(), links).empty() && !links.empty();
}

/// A device name may follow a mark without a blank: ">GPU0", "notes.txt:GPU0", "#GPU0".
std::size_t name_offset(std::string_view word) {
  const auto mark = word.find_last_of(":>#|\"'`");
  return mark == word.npos ? 0 : mark + 1;
}

// ---- header ------------------------------------------------------------------------------------------------------

struct Head {
  std::vector<std::string> columns;
  std::vector<std::size_t> column_at;    // offsets of the columns in the header line
  std::vector<Affinity> affinities;
  std::vector<std::size_t> affinity_at;
  bool wrapped = false;                  // offsets tell nothing
};

/// Reads "CPU Affinity", "NUMA Affinity", "GPU NUMA ID" from tokens[i] on; how many tokens it took, 0 for none.
std::size_t affinity_at(const std::vector<Token>& tokens, std::size_t i, Affinity& which) {
  const auto is = [&](std::size_t k, std::string_view word) { return k < tokens.size() && tokens[k].text == word; };
  if (is(i, "CPU") && is(i + 1, "Affinity")) return which = Affinity::kCpu, 2;
  if (is(i, "NUMA") && is(i + 1, "Affinity")) return which = Affinity::kNuma, 2;
  if (is(i, "GPU") && is(i + 1, "NUMA") && is(i + 2, "ID")) return which = Affinity::kGpuNuma, 3;
  return 0;
}

/// Adds the heads in `line`; false when there is anything else in it.
bool add_heads(Head& head, std::string_view line, std::size_t from) {
  const auto tokens = tokenize(line, from);
  for (std::size_t i = 0; i < tokens.size();) {
    Affinity which{};
    if (const auto taken = affinity_at(tokens, i, which); taken > 0) {
      head.affinities.push_back(which);
      head.affinity_at.push_back(tokens[i].at);
      i += taken;
      continue;
    }
    for (auto& name : part_names(tokens[i].text)) {
      if (!is_device_name(name) || !head.affinities.empty()) return false;
      head.columns.push_back(std::move(name));
      head.column_at.push_back(tokens[i].at);
    }
    ++i;
  }
  return !tokens.empty();
}

bool is_unique(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) == names.end();
}

/// A line with only device names, GPUs first, and the heads of the affinity columns. Anything may stand before.
std::optional<Head> read_head(std::string_view line) {
  for (const auto& token : tokenize(line)) {
    const auto skip = name_offset(token.text);
    const auto names = part_names(std::string_view(token.text).substr(skip));
    if (names.empty() || !gpu_number(names.front())) continue;
    Head head;
    if (!add_heads(head, line, token.at + skip) || !is_unique(head.columns)) return std::nullopt;
    return head;
  }
  return std::nullopt;
}

// ---- rows --------------------------------------------------------------------------------------------------------

struct RowText {
  std::string name;
  std::string_view line;
  std::vector<Token> tokens;  // after the name
  int number = 0;             // of the line
  bool wrapped = false;
  bool last_line = false;     // the text stops in this row, without a line end
};

/// A row starts with the name of a device and a matrix cell; anything may stand before the name.
std::optional<RowText> read_row_start(std::string_view line, int number) {
  const auto tokens = tokenize(line);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const auto name = std::string_view(tokens[i].text).substr(name_offset(tokens[i].text));
    if (!is_device_name(name) || !is_link_word(tokens[i + 1].text)) continue;
    RowText row{std::string(name), line, {}, number, false, false};
    row.tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1, tokens.end());
    return row;
  }
  return std::nullopt;
}

/// "0-23, 48-71" is one cell.
void join_lists(std::vector<Token>& cells) {
  for (std::size_t i = 1; i < cells.size();) {
    if (cells[i - 1].text.ends_with(',') || cells[i].text.starts_with(',')) {
      cells[i - 1].text += cells[i].text;
      cells.erase(cells.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

void assign(SmiRow& row, Affinity which, std::string text) {
  switch (which) {
    case Affinity::kCpu: row.cpu = std::move(text); break;
    case Affinity::kNuma: row.numa = std::move(text); break;
    case Affinity::kGpuNuma: row.gpu_numa = std::move(text); break;
  }
}

/// With tabs an empty cell is an empty field. The tool prints two tabs after the NUMA cell, and some versions put a
/// second tab before it: "0-23\t1\t\tN/A", "\t1\t\tN/A" (no CPU allowed), "0-127\t\tN/A".
bool assign_by_tabs(SmiRow& row, const std::vector<Affinity>& affinities, std::string_view tail) {
  const auto fields = split(tail, '\t');
  if (fields.size() < 2 || !trim(fields[0]).empty()) return false;
  const auto has = [&](Affinity a) { return std::find(affinities.begin(), affinities.end(), a) != affinities.end(); };
  if (!has(Affinity::kCpu)) return false;
  row.cpu = std::string(trim(fields[1]));
  for (std::size_t i = 2; i < fields.size(); ++i) {
    const auto cell = std::string(trim(fields[i]));
    if (cell.empty()) continue;
    if (has(Affinity::kGpuNuma) && i >= 4) row.gpu_numa = cell;
    else if (has(Affinity::kNuma) && !row.numa) row.numa = cell;
    else return false;
  }
  return true;
}

/// With blanks only the offset tells which cell is missing. `drift` is how far the row's cells stand right of the heads.
bool assign_by_offset(SmiRow& row, const Head& head, const std::vector<Token>& cells, int drift) {
  std::size_t next = 0;
  for (const auto& cell : cells) {
    int best = kMaxDrift + 1;
    std::size_t which = head.affinities.size();
    for (auto k = next; k < head.affinities.size(); ++k) {
      const int off = std::abs(static_cast<int>(cell.at) - drift - static_cast<int>(head.affinity_at[k]));
      if (off < best) best = off, which = k;
    }
    if (which == head.affinities.size()) return false;
    assign(row, head.affinities[which], cell.text);
    next = which + 1;
  }
  return true;
}

/// The cells right of the matrix; `from` is where the matrix ends in the line.
bool read_affinities(SmiRow& row, const Head& head, const RowText& text, std::vector<Token> cells, std::size_t from,
                     int drift) {
  join_lists(cells);
  if (cells.empty() || head.affinities.empty()) return true;
  if (cells.size() >= head.affinities.size()) {
    for (std::size_t i = 0; i < head.affinities.size(); ++i) assign(row, head.affinities[i], cells[i].text);
    return true;
  }
  SmiRow tried = row;
  const bool tabs = !text.wrapped && text.line.find('\t', from) != text.line.npos;
  const bool done = tabs ? assign_by_tabs(tried, head.affinities, text.line.substr(from))
                         : !text.wrapped && !head.wrapped && assign_by_offset(tried, head, cells, drift);
  if (done) row = std::move(tried);
  return done;
}

std::string damage(const SmiRow& row, std::string_view what) {
  return fmt::format("row {} {} (line {})", row.name, what, row.line);
}

/// What the diagonal says: a row that lost or gained a cell has its "X" in a wrong place.
bool fits_diagonal(const SmiRow& row, const std::vector<std::string>& columns) {
  for (std::size_t i = 0; i < row.links.size(); ++i)
    if ((row.links[i].kind == LinkKind::kSelf) != (columns[i] == row.name)) return false;
  return true;
}

SmiRow read_row(const Head& head, const RowText& text, SmiTable& table) {
  SmiRow row{text.name, text.number, {}, {}, {}, {}};
  std::vector<Token> rest;
  std::size_t from = 0;
  int drift = 0;
  for (const auto& token : text.tokens) {
    const auto room = head.columns.size() - row.links.size();
    const auto before = row.links.size();
    const auto left = rest.empty() ? take_links(token.text, room, row.links) : std::string_view(token.text);
    if (row.links.size() > before) {
      from = token.at + (token.text.size() - left.size());
      const int centre = token.text == "X" ? 1 : 0;  // the tool prints " X "
      drift = static_cast<int>(token.at) - centre - static_cast<int>(head.column_at[before]);
    }
    if (!left.empty()) rest.push_back({std::string(left), token.at});
  }
  const bool cut_in_matrix = row.links.size() < head.columns.size() || (text.last_line && rest.empty() &&
                                                                        row.name != head.columns.back());
  const bool more_links = !rest.empty() && is_link_word(rest.front().text);
  if (cut_in_matrix || more_links || !fits_diagonal(row, head.columns)) {
    table.notes.push_back(damage(row, fmt::format("has not one cell for each of the {} columns", head.columns.size())));
    row.links.clear();
    return row;
  }
  if (!read_affinities(row, head, text, std::move(rest), from, drift))
    table.notes.push_back(damage(row, "has cells of which it is not clear what they are"));
  return row;
}

// ---- cut rows ----------------------------------------------------------------------------------------------------

bool is_proper_prefix(const std::optional<std::string>& part, const std::optional<std::string>& whole) {
  return part && whole && part->size() < whole->size() && whole->starts_with(*part);
}

/// The last cell that a row has, as the tool orders them.
const std::optional<std::string>& last_cell(const SmiRow& row) {
  if (row.gpu_numa) return row.gpu_numa;
  return row.numa ? row.numa : row.cpu;
}

/// Whether the text stops inside this row's last cell. Without a line end that is likely, unless the table is whole;
/// with one, the cell gives itself away as the beginning of another row's cell.
bool is_cut(const SmiTable& table, const SmiRow& row, bool stops_here) {
  const auto& cell = last_cell(row);
  if (!cell || *cell == "N/A") return false;
  const bool table_ends = row.name == table.columns.back();
  if (stops_here && !table_ends) return true;
  if (!stops_here && table_ends) return false;
  return std::any_of(table.rows.begin(), table.rows.end(), [&](const SmiRow& other) {
    return &other != &row && &cell == &row.cpu && is_proper_prefix(row.cpu, other.cpu);
  });
}

void drop_cut_cells(SmiTable& table, bool stops_here) {
  if (table.rows.empty()) return;
  auto& row = table.rows.back();
  if (row.links.empty() || !is_cut(table, row, stops_here)) return;
  table.notes.push_back(damage(row, "is cut: the text ends in it"));
  row.cpu.reset();
  row.numa.reset();
  row.gpu_numa.reset();
}

void note_missing_rows(SmiTable& table) {
  std::vector<std::string> missing;
  for (const auto& column : table.columns)
    if (gpu_number(column) && std::none_of(table.rows.begin(), table.rows.end(),
                                           [&](const SmiRow& r) { return r.name == column; }))
      missing.push_back(column);
  if (!missing.empty())
    table.notes.push_back(fmt::format("the table of line {} has no row for {}", table.line, join(missing, ", ")));
}

// ---- tables with a mark between cells ------------------------------------------------------------------------------

std::vector<std::string> marked_cells(std::string_view line) {
  std::vector<std::string> cells;
  const auto first = line.find('|');
  if (first == line.npos) return cells;
  for (auto cell : split(line.substr(first + 1), '|')) {
    auto text = std::string(trim(cell));
    std::erase_if(text, [](char c) { return c == '*' || c == '`'; });
    cells.push_back(std::move(text));
  }
  return cells;
}

bool is_marked_head(const std::vector<std::string>& cells) {
  return cells.size() >= 3 && std::any_of(cells.begin(), cells.end(), [](const auto& c) { return gpu_number(c); }) &&
         std::none_of(cells.begin(), cells.end(), [](const auto& c) { return parse_link(c).has_value(); });
}

std::optional<Affinity> affinity_named(std::string_view cell) {
  if (cell == "CPU Affinity") return Affinity::kCpu;
  if (cell == "NUMA Affinity") return Affinity::kNuma;
  if (cell == "GPU NUMA ID") return Affinity::kGpuNuma;
  return std::nullopt;
}

/// A Markdown table: the columns may be in any order.
SmiTable read_marked_table(const std::vector<std::string_view>& lines, std::size_t& at) {
  const auto head = marked_cells(lines[at]);
  SmiTable table;
  table.line = static_cast<int>(at) + 1;
  for (const auto& cell : head) {
    if (const auto which = affinity_named(cell)) table.affinities.push_back(*which);
    else if (is_device_name(cell)) table.columns.push_back(cell);
  }
  for (++at; at < lines.size(); ++at) {
    const auto cells = marked_cells(lines[at]);
    if (cells.empty()) break;
    SmiRow row{{}, static_cast<int>(at) + 1, {}, {}, {}, {}};
    for (std::size_t i = 0; i < cells.size() && i < head.size(); ++i) {
      if (const auto which = affinity_named(head[i])) assign(row, *which, cells[i]);
      else if (is_device_name(head[i])) {
        if (const auto link = parse_link(cells[i])) row.links.push_back(*link);
      } else if (row.name.empty() && is_device_name(cells[i])) {
        row.name = cells[i];
      }
    }
    if (std::find(table.columns.begin(), table.columns.end(), row.name) == table.columns.end()) continue;
    if (row.links.size() != table.columns.size() || !fits_diagonal(row, table.columns)) {
      table.notes.push_back(damage(row, "has not one cell for each column"));
      row = {row.name, row.line, {}, {}, {}, {}};
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// ---- plain tables --------------------------------------------------------------------------------------------------

struct Lines {
  std::vector<std::string_view> all;
  bool stops_in_last = false;

  bool is_cut(std::size_t i) const { return stops_in_last && i + 1 == all.size(); }
};

/// Heads that went over the terminal's edge onto the next lines.
void join_wrapped_head(Head& head, const Lines& lines, std::size_t& at) {
  while (at < lines.all.size() && !read_row_start(lines.all[at], 0)) {
    Head more = head;
    if (!add_heads(more, lines.all[at], 0) || !is_unique(more.columns)) return;
    head = std::move(more);
    head.wrapped = true;
    ++at;
  }
}

bool has_only_cells(std::string_view line) {
  const auto tokens = tokenize(line);
  return !tokens.empty() && std::all_of(tokens.begin(), tokens.end(), [](const Token& token) {
    return is_link_word(token.text) || token.text == "N/A" || CpuSet::parse(token.text).has_value();
  });
}

std::size_t count_links(const RowText& row) {
  std::vector<Link> links;
  for (const auto& token : row.tokens)
    if (!take_links(token.text, kMaxIds, links).empty()) break;
  return links.size();
}

/// Cells that went over the terminal's edge onto the next lines.
void join_wrapped_row(RowText& row, const Head& head, const Lines& lines, std::size_t& at) {
  const auto wanted = head.columns.size() + head.affinities.size();
  while (at < lines.all.size() && row.tokens.size() < wanted &&
         (count_links(row) < head.columns.size() || gpu_number(row.name)) && !read_row_start(lines.all[at], 0) &&
         has_only_cells(lines.all[at])) {
    for (auto& token : tokenize(lines.all[at])) row.tokens.push_back({std::move(token.text), 0});
    row.wrapped = true;
    row.last_line = lines.is_cut(at);
    ++at;
  }
}

/// Rows below a header, up to a line that is none. One or two lines in between are let pass: blank ones, or "...".
void read_rows(SmiTable& table, const Head& head, const Lines& lines, std::size_t& at) {
  bool stops_here = false;
  for (int strange = 0; at < lines.all.size() && strange < 3;) {
    auto text = read_row_start(lines.all[at], static_cast<int>(at) + 1);
    if (!text || std::find(head.columns.begin(), head.columns.end(), text->name) == head.columns.end()) {
      if (read_head(lines.all[at])) break;
      ++strange;
      ++at;
      continue;
    }
    if (std::any_of(table.rows.begin(), table.rows.end(), [&](const SmiRow& r) { return r.name == text->name; })) break;
    strange = 0;
    text->last_line = lines.is_cut(at);
    ++at;
    join_wrapped_row(*text, head, lines, at);
    stops_here = text->last_line;
    table.rows.push_back(read_row(head, *text, table));
  }
  drop_cut_cells(table, stops_here);
}

/// Rows without a header: a whole matrix names its columns by its rows.
std::optional<Head> head_from_rows(const Lines& lines, std::size_t at) {
  Head head;
  std::size_t width = 0, cells = 0;
  for (; at < lines.all.size(); ++at) {
    const auto row = read_row_start(lines.all[at], 0);
    if (!row) break;
    head.columns.push_back(row->name);
    width = std::max(width, count_links(*row));
    cells = std::max(cells, row->tokens.size());
  }
  if (head.columns.size() != width || !is_unique(head.columns) || !gpu_number(head.columns.front())) return std::nullopt;
  constexpr Affinity kOrder[] = {Affinity::kCpu, Affinity::kNuma, Affinity::kGpuNuma};
  for (std::size_t i = 0; i < std::min<std::size_t>(cells - width, 3); ++i) head.affinities.push_back(kOrder[i]);
  head.column_at.assign(width, 0);
  head.affinity_at.assign(head.affinities.size(), 0);
  head.wrapped = true;
  return head;
}

}  // namespace

std::optional<int> gpu_number(std::string_view name) {
  if (!name.starts_with("GPU")) return std::nullopt;
  const auto n = parse_number<int>(name.substr(3));
  return n && *n >= 0 ? n : std::nullopt;
}

std::vector<SmiTable> find_smi_tables(std::string_view text) {
  const Lines lines{split_lines(text), ends_in_a_line(text)};
  std::vector<SmiTable> tables;
  const auto keep = [&](SmiTable table) {
    if (std::none_of(table.rows.begin(), table.rows.end(), [](const SmiRow& r) { return !r.links.empty(); })) return;
    note_missing_rows(table);
    tables.push_back(std::move(table));
  };
  for (std::size_t at = 0; at < lines.all.size();) {
    if (is_marked_head(marked_cells(lines.all[at]))) {
      keep(read_marked_table(lines.all, at));
      continue;
    }
    auto head = read_head(lines.all[at]);
    SmiTable table;
    table.line = static_cast<int>(at) + 1;
    if (head) join_wrapped_head(*head, lines, ++at);
    else if (read_row_start(lines.all[at], 0)) head = head_from_rows(lines, at);
    if (!head || head->columns.empty()) {
      ++at;
      continue;
    }
    table.columns = head->columns;
    table.affinities = head->affinities;
    const auto before = at;
    read_rows(table, *head, lines, at);
    if (at == before) ++at;
    keep(std::move(table));
  }
  return tables;
}

}  // namespace numapin
