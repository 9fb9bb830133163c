// The table that `nvidia-smi topo -m` prints, found and taken apart in whatever shape it was pasted. What its cells
// mean is smi_topo.cc's business.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

/// The columns right of the matrix, in the order the tool prints them.
enum class Affinity { kCpu, kNuma, kGpuNuma };

struct SmiRow {
  std::string name;         ///< "GPU0", "NIC3", "mlx5_0"
  int line = 0;             ///< of the text, from 1
  std::vector<Link> links;  ///< as many as the table has columns, or none where the row is damaged
  /// Cells right of the matrix as printed; nothing where there is no such cell or it cannot be told which it is.
  std::optional<std::string> cpu, numa, gpu_numa;
};

struct SmiTable {
  int line = 0;                      ///< of the header, from 1; of the first row where there is none
  std::vector<std::string> columns;  ///< device names
  std::vector<Affinity> affinities;
  std::vector<SmiRow> rows;
  std::vector<std::string> notes;    ///< what is damaged, with the line
};

/// Every topology table of the text (which is free of terminal codes), in order; only those with a whole row.
std::vector<SmiTable> find_smi_tables(std::string_view text);

/// N of "GPUN" (nothing else may follow).
std::optional<int> gpu_number(std::string_view name);

}  // namespace numapin
