// Which GPUs' device files this process may open.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

struct GpuFiles {
  std::map<int, bool> may_open;    ///< Gpu::index; empty where there are no such files at all
  std::vector<std::string> notes;  ///< "device numbers are taken to be in PCI order: ..."
};

/// /dev/nvidiaN for NVIDIA's, /dev/dri/renderDN for others, N being Gpu::minor, asked by faccessat(2): it obeys device
/// cgroups (v1, and v2's BPF programs) as open(2) does, but wakes no GPU. `dev` stands for /dev in tests.
GpuFiles find_gpu_files(const Machine& m, const std::string& dev = "/dev");

}  // namespace numapin
