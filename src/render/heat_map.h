// A table of figures whose cells are coloured by how good they are; drawn as SVG and as an HTML table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/machine.h"
#include "render/svg_canvas.h"

namespace numapin {

struct HeatCell {
  std::string text;
  std::optional<int> heat;  ///< 0 (worst) to kHeats - 1; nothing: not coloured
  std::string remark;       ///< what the pointer shows
};

struct HeatMap {
  std::string title, caption;
  std::string corner;                    ///< what the row names are: "from"
  std::vector<std::string> rows, columns;
  std::vector<std::vector<HeatCell>> cells;
  std::vector<std::pair<std::string, std::string>> legend;  ///< "PIX", "at most one PCIe bridge"
  bool empty() const { return cells.empty(); }
};

/// A cell for `value` in the range from `worst` to `best`; all are alike when the two are equal.
HeatCell heat_cell(std::string text, double value, double worst, double best);

/// Distances between nodes; empty for a single node, or where no distance is known.
HeatMap distance_map(const Machine& m);
/// Links between GPUs, and from them to NICs for RDMA; empty with less than two GPUs, or where no link is known.
HeatMap gpu_link_map(const Machine& m);
/// The ink of text on a cell.
std::string_view ink_on(std::optional<int> heat);

std::string heat_html(const HeatMap& map);
Drawing heat_svg(const HeatMap& map);

/// GPUs on a circle, and a line for each NVLink or xGMI bond, thicker with more links; nothing where there is none.
Drawing draw_gpu_mesh(const Machine& m);

}  // namespace numapin
