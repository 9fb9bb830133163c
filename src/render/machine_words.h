// The words for a machine that text, SVG and HTML share, and which devices stand together in a drawing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "render/pci_drawing.h"

namespace numapin::drawing {

/// "24 cores x 2 SMT", "16 cores": how many cores have how many threads; empty where no core is known
std::vector<std::string> core_counts(const std::vector<const Core*>& cores);
std::vector<const Core*> cores_within(const Machine& m, const CpuSet& cpus);
/// "48 CPUs", "(16 cores x 2 SMT", "+ 8 cores)": phrases that a line may break between
std::vector<std::string> cpu_phrases(const Machine& m);
/// "2 packages", "8 NUMA nodes (4 with CPUs)", "251 GiB", "8 GPUs"
std::vector<std::string> size_phrases(const Machine& m);

bool has_cpus(const NumaNode& node);
bool has_no_memory(const NumaNode& node);
/// "GPU memory", "CXL memory", ...; "" for the ordinary kind
std::string kind_words(const Machine& m, const NumaNode& node);
/// Nodes with neither CPUs nor memory nor devices: Grace keeps seven a GPU for MIG instances.
NodeSet empty_nodes(const Machine& m);
std::vector<int> gpus_near(const Machine& m, NodeId node);
std::vector<int> gpus_of_unknown_node(const Machine& m);

/// Why the node of some devices is unknown, and what to do about it ("": nothing).
struct UnknownNodeAdvice {
  std::string why, what_to_do;
};
UnknownNodeAdvice unknown_node_advice(const Machine& m);

std::string gpu_model(const Gpu& gpu);
/// Devices whose near nodes are exactly `nodes` (none: unknown), in PCI order as far as they have addresses.
std::vector<DrawnDevice> devices_near(const Machine& m, const NodeSet& nodes);
/// Sets of several nodes that some device is near to.
std::vector<NodeSet> shared_node_sets(const Machine& m);

/// The nearest NICs of a GPU by link class: "mlx5_0,mlx5_1 PIX"; "" where no link to one is known.
std::string nearest_nics(const Machine& m, int gpu);
/// "a bonded set of # NVLinks"
std::string_view legend_of(LinkKind kind);

}  // namespace numapin::drawing
