// What `numapin bench` measured, as tables of figures.
#pragma once

#include <vector>

#include "numapin/measured.h"
#include "render/heat_map.h"

namespace numapin {

/// Node to node, node to GPU, GPU to GPU: only the tables in which something was measured.
std::vector<HeatMap> measured_maps(const Measured& measured);

}  // namespace numapin
