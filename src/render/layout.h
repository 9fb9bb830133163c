// Text that fits a terminal: widths, wrapping, tables. Pure strings; nothing here knows a machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "numapin/id_set.h"

namespace numapin {

/// Columns that UTF-8 text takes, color escapes not counted. Takes each character as one column.
std::size_t columns(std::string_view text);
/// Text from a recording or a device, made harmless for a terminal: control characters become '?'.
std::string clean(std::string_view text);
/// `text` and blanks up to `width` columns.
std::string padded(std::string_view text, std::size_t width);

/// The kernel's list format, with strides where the numbers alternate: "0-62:2" instead of 32 numbers.
std::string short_list(const CpuSet& cpus);
/// short_list() in pieces that a line may break between; each but the last ends with its comma.
std::vector<std::string> list_pieces(const CpuSet& cpus);

/// Words one after the other, `gap` between them, on as many lines as `width` asks for. The first line starts with
/// `first`, the others with `rest`. A word that is wider than a line stands alone on one.
std::string flow(std::string_view first, std::string_view rest, const std::vector<std::string>& words,
                 std::string_view gap, std::size_t width);

struct Cell {
  std::vector<std::string> pieces;  ///< a line may break between them
  std::string text() const;
};
/// Columns two blanks apart; where the lines would be wider than `width`, the widest column that can gives way.
std::string table(const std::vector<std::string>& heading, const std::vector<std::vector<Cell>>& rows,
                  std::size_t width);

/// A square or oblong table of short cells, in blocks of as many columns as fit.
struct Matrix {
  std::vector<std::string> rows, columns;
  std::vector<std::vector<std::string>> cells;
};
std::string matrix_text(const Matrix& m, std::string_view indent, std::size_t width);

}  // namespace numapin
