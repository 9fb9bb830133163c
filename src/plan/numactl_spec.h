// numactl's way to name nodes and CPUs: lists, "all", "!", "+", and nodes by device.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "numapin/id_set.h"
#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// Finds the node(s) of "pci:0000:18:00.0", "netdev:eth0", "block:sda", "file:/data", "ip:10.0.0.1".
using FindDeviceNodes = std::function<Result<NodeSet>(std::string_view spec)>;

/// True for "pci:...", "netdev:...", "block:...", "file:...", "ip:...".
bool names_a_device(std::string_view text);

/// The address in "pci:[seg:]bus:dev[.func]", also with a colon before the function, as numactl's manual has it.
std::optional<PciAddress> parse_pci_spec(std::string_view spec);

/// Reads a node specification of numactl(8): "0-1,3", "all", "+0" (the first of `allowed`), "!1" (all of `every` but 1),
/// "!+0", "pci:18:00.0". `allowed` is what "all" means and what "+" counts over.
/// Whether the nodes exist is the caller's to check. Errors: kBadInput, and those of `find`.
Result<NodeSet> parse_node_spec(std::string_view text, const NodeSet& allowed, const NodeSet& every,
                                const FindDeviceNodes& find);

/// The same for CPUs (numactl --physcpubind); strides as taskset's are read too.
Result<CpuSet> parse_cpu_spec(std::string_view text, const CpuSet& allowed, const CpuSet& every);

}  // namespace numapin
