// Running GPU processes as text: a verdict each, then threads and memory.
#pragma once

#include <string>
#include <vector>

#include "numapin/container.h"
#include "numapin/findings.h"
#include "render/topo.h"

namespace numapin {

/// One process of an inspection, with what was found of it.
struct Inspection {
  ProcessInfo process;
  std::vector<int> gpus;      ///< Gpu::index; of a child: its own, else those of the process it descends from
  std::optional<ContainerName> container;
  std::optional<SlurmStep> slurm;
  int depth = 0;              ///< 0: a process that was asked for; 1: its child, ...
  PlacementVerdict verdict;
  bool operator==(const Inspection&) const = default;
};

struct InspectStyle : TextStyle {
  bool threads = false;       ///< a line for each thread
};

/// Processes in the order given, each with its verdict first.
std::string inspect_text(const Machine& m, const std::vector<Inspection>& list, const InspectStyle& style);
/// The table of `numastat -p PID` (numactl 2.0.16), in megabytes of 2^20 bytes.
std::string numastat_text(const Machine& m, const std::vector<ProcessInfo>& list);
/// The line of `taskset -cp PID`.
std::string taskset_text(const ProcessInfo& p);
/// Schema "numapin/inspect/1" (docs/json.md).
std::string inspect_json(const Machine& m, const std::vector<Inspection>& list, const std::vector<std::string>& notes);

}  // namespace numapin
