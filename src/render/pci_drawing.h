// The PCI tree above a set of devices, drawn: only bridges that branch, every device with its link.
#pragma once

#include <string>
#include <vector>

#include "numapin/machine.h"
#include "render/topo.h"

namespace numapin {

/// A device as the drawing shows it.
struct DrawnDevice {
  std::optional<PciAddress> address;
  std::string name;    ///< "GPU 0", "mlx5_0"
  std::string what;    ///< "NVIDIA H100 80GB HBM3"
  std::string id;      ///< "GPU-1b002330", "enp41s0f1np1", or ""
  std::string extra;   ///< "C2C to node 0", or ""
  bool is_gpu = false;
};

/// "Gen4 x16", "Gen4 x8 (of Gen5 x16)"; "" where the link is unknown
std::string link_text(const Fact<PciLink>& now, const Fact<PciLink>& max);
/// "limited to Gen3 x8 by 0000:00:01.0" where a link above is slower than the device's own; else "".
std::string bottleneck_text(const Machine& m, const PciDevice& device);

/// One line a device or branching bridge (more where the width asks for it), each after `indent`.
std::string draw_pci(const Machine& m, const std::vector<DrawnDevice>& devices, std::string_view indent,
                     const TextStyle& style);

}  // namespace numapin
