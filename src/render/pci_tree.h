// The PCI tree above a set of devices, as text and SVG draw it: only bridges that branch.
#pragma once

#include <string>
#include <vector>

#include "numapin/machine.h"
#include "render/pci_drawing.h"

namespace numapin {

/// A bridge, a host bridge (no `bridge`), or a device (`device`). Points into the machine and the devices.
struct PciBranch {
  std::string key;
  const PciDevice* bridge = nullptr;
  const DrawnDevice* device = nullptr;
  std::vector<PciBranch> below;
};
PciBranch pci_tree(const Machine& m, const std::vector<DrawnDevice>& devices);
/// "switch 0000:16:00.0", "root port 0000:26:01.0", "host bridge pci0000:17"
std::string bridge_name(const PciBranch& branch);

}  // namespace numapin
