// A machine as text: the drawing for people, and the two tables that other tools print.
#pragma once

#include <string>

#include "numapin/machine.h"

namespace numapin {

struct TextStyle {
  int width = 80;        ///< columns; lines are wrapped, not cut
  bool unicode = false;  ///< box drawing and blocks instead of ASCII
  bool color = false;
};

/// `numapin topo`: who is beside whom, then node by node, then distances, links and what is doubtful.
std::string topo_text(const System& s, const TextStyle& style);

/// The same as a drawing: one SVG element that needs nothing else, light or dark as its viewer asks.
std::string topo_svg(const System& s);

/// The table of `nvidia-smi topo -m`, byte for byte in its layout (tabs), from any source; ends with its legends.
std::string smi_topo_matrix(const Machine& m);

/// The text of `numactl --hardware` (2.0.16). Nodes of unknown size print "<not available>", as there.
std::string numactl_hardware(const Machine& m);

}  // namespace numapin
