#include "render/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"

namespace numapin {
namespace {

/// A run of numbers with one stride: first, last, step.
struct Run {
  int first, last, step;
};

/// Greedy from the left: a step other than 1 must hold for three numbers at least to be worth its three characters.
std::vector<Run> runs_of(const std::vector<int>& ids) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < ids.size();) {
    std::size_t end = i + 1;
    int step = 1;
    if (end < ids.size()) {
      step = ids[end] - ids[i];
      while (end + 1 < ids.size() && ids[end + 1] - ids[end] == step) ++end;
      ++end;
      if (step > 1 && end - i < 3) end = i + 1;
    }
    runs.push_back({ids[i], ids[end - 1], step});
    i = end;
  }
  return runs;
}

std::string to_text(const Run& run) {
  if (run.first == run.last) return std::to_string(run.first);
  if (run.step == 1) return fmt::format("{}-{}", run.first, run.last);
  return fmt::format("{}-{}:{}", run.first, run.last, run.step);
}

/// The pieces of a cell on lines of at most `width` columns.
std::vector<std::string> cell_lines(const Cell& cell, std::size_t width) {
  std::vector<std::string> lines(1);
  for (const auto& piece : cell.pieces) {
    if (!lines.back().empty() && columns(lines.back()) + columns(piece) > width) lines.emplace_back();
    lines.back() += lines.back().empty() && piece.starts_with(' ') ? piece.substr(1) : piece;
  }
  return lines;
}

void strip_trailing_blanks(std::string& text) { text.erase(text.find_last_not_of(' ') + 1); }

struct Width {
  std::size_t now = 0, narrowest = 0;
};

std::vector<Width> column_widths(const std::vector<std::string>& heading, const std::vector<std::vector<Cell>>& rows) {
  std::vector<Width> widths;
  for (const auto& h : heading) widths.push_back({columns(h), columns(h)});
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < widths.size(); ++c) {
      widths[c].now = std::max(widths[c].now, columns(row[c].text()));
      for (const auto& piece : row[c].pieces) widths[c].narrowest = std::max(widths[c].narrowest, columns(trim(piece)));
    }
  }
  return widths;
}

/// Takes columns from the widest that has some to give until the lines fit or nothing gives.
std::vector<std::size_t> fitted(std::vector<Width> widths, std::size_t width) {
  std::size_t total = 2 * (widths.size() - 1);
  for (const auto& w : widths) total += w.now;
  for (; total > width; --total) {
    Width* widest = nullptr;
    for (auto& w : widths) {
      if (w.now > w.narrowest && (widest == nullptr || w.now > widest->now)) widest = &w;
    }
    if (widest == nullptr) break;
    --widest->now;
  }
  std::vector<std::size_t> result;
  for (const auto& w : widths) result.push_back(w.now);
  return result;
}

std::string table_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths) {
  std::vector<std::vector<std::string>> lines;
  std::size_t height = 1;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    lines.push_back(cell_lines(row[c], widths[c]));
    height = std::max(height, lines.back().size());
  }
  std::string text;
  for (std::size_t l = 0; l < height; ++l) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      line += padded(l < lines[c].size() ? lines[c][l] : "", widths[c] + 2);
    }
    strip_trailing_blanks(line);
    text += line + '\n';
  }
  return text;
}

}  // namespace

std::size_t columns(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = std::min(text.find('m', i), text.size() - 1);
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {  // not a continuation byte
      ++n;
    }
  }
  return n;
}

std::string clean(std::string_view text) {
  std::string safe(text);
  for (auto& c : safe) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  // C1 controls (U+0080 to U+009F) act like ESC on some terminals.
  for (std::size_t i = 0; i + 1 < safe.size(); ++i) {
    if (safe[i] == '\xc2' && static_cast<unsigned char>(safe[i + 1]) < 0xa0) safe.replace(i, 2, "?");
  }
  return safe;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  const auto have = columns(text);
  if (have < width) out.append(width - have, ' ');
  return out;
}

std::vector<std::string> list_pieces(const CpuSet& cpus) {
  std::vector<int> ids;
  for (const auto cpu : cpus) ids.push_back(number(cpu));
  std::vector<std::string> pieces;
  for (const auto& run : runs_of(ids)) pieces.push_back(to_text(run) + ",");
  if (!pieces.empty()) pieces.back().pop_back();
  return pieces;
}

std::string short_list(const CpuSet& cpus) {
  std::string text;
  for (const auto& piece : list_pieces(cpus)) text += piece;
  return text;
}

std::string flow(std::string_view first, std::string_view rest, const std::vector<std::string>& words,
                 std::string_view gap, std::size_t width) {
  std::string text, line(first);
  bool empty = true;
  for (const auto& word : words) {
    if (!empty && columns(line) + columns(gap) + columns(word) > width) {
      strip_trailing_blanks(line);
      text += line + '\n';
      line = rest;
      empty = true;
    }
    if (!empty) line += gap;
    line += word;
    empty = false;
  }
  strip_trailing_blanks(line);
  return text + line + '\n';
}

std::string Cell::text() const {
  std::string all;
  for (const auto& piece : pieces) all += piece;
  return all;
}

std::string table(const std::vector<std::string>& heading, const std::vector<std::vector<Cell>>& rows,
                  std::size_t width) {
  const auto widths = fitted(column_widths(heading, rows), width);
  std::vector<Cell> heads;
  for (const auto& h : heading) heads.push_back({{h}});
  std::string text = table_row(heads, widths);
  for (const auto& row : rows) text += table_row(row, widths);
  return text;
}

std::string matrix_text(const Matrix& m, std::string_view indent, std::size_t width) {
  std::size_t label = 0, cell = 0;
  for (const auto& r : m.rows) label = std::max(label, columns(r));
  for (const auto& c : m.columns) cell = std::max(cell, columns(c));
  for (const auto& row : m.cells) {
    for (const auto& c : row) cell = std::max(cell, columns(c));
  }
  const auto used = columns(indent) + label;
  const auto fit = width > used + cell + 2 ? (width - used) / (cell + 2) : 1;
  std::string text;
  for (std::size_t from = 0; from < m.columns.size(); from += fit) {
    const auto to = std::min(from + fit, m.columns.size());
    if (from > 0) text += '\n';
    for (std::size_t r = 0; r <= m.rows.size(); ++r) {  // row 0 is the heading
      const auto& cells = r == 0 ? m.columns : m.cells[r - 1];
      std::string line = std::string(indent) + padded(r == 0 ? "" : m.rows[r - 1], label);
      for (auto c = from; c < to; ++c) {
        line += std::string(cell + 2 - columns(cells[c]), ' ') + cells[c];
      }
      text += line + '\n';
    }
  }
  return text;
}

}  // namespace numapin
