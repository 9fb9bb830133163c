// Which GPUs a container was given: NVIDIA_VISIBLE_DEVICES, CDI device names, device files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "numapin/visible.h"
#include "oci/container.h"

namespace numapin::oci {

struct ContainerGpus {
  std::vector<ChosenGpu> gpus;
  std::string from;                     ///< "NVIDIA_VISIBLE_DEVICES=0,1"
  std::vector<std::string> unresolved;  ///< names that mean no GPU of this machine as far as it was read
};

/// In this order, the first that names some: a list in NVIDIA_VISIBLE_DEVICES (or volumes instead of it), CDI names in
/// annotations, device files, NVIDIA_VISIBLE_DEVICES=all, which images have by themselves. CUDA_VISIBLE_DEVICES of the
/// container then chooses among these.
ContainerGpus find_gpus(const Machine& m, const Container& c);

/// NVIDIA_VISIBLE_DEVICES; "" where it asks for no GPU (unset, void, none).
std::string nvidia_list(const Container& c);
/// "nvidia.com/gpu=0", ... of the annotations cdi.k8s.io/*; only those of class gpu.
std::vector<std::string> cdi_devices(const Container& c);

}  // namespace numapin::oci
