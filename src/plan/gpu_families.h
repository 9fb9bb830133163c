// The runtimes a GPU belongs to, and what each shows of the machine: shared by the *_visible.cc files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/visible.h"

namespace numapin {

/// Which runtime's variables a GPU obeys.
enum class GpuFamily { kCuda, kRocm, kLevelZero, kOther };
/// By PCI vendor. Texts that name no vendor (nvidia-smi topo -m) come from NVIDIA's tools.
GpuFamily family_of(const Gpu& gpu);
/// "NVIDIA", "AMD", "Intel", "other"
std::string_view vendor_of(GpuFamily family);
/// The GPUs of a family, by index (PCI order).
std::vector<const Gpu*> gpus_of(const Machine& m, GpuFamily family);
const Gpu* gpu_at(const Machine& m, int index);

/// "0-3,5"
std::string index_list(const std::vector<int>& indices);
std::string index_list(const std::vector<ChosenGpu>& gpus);
/// "GPU 0", "GPUs 0-3", "no GPU"
std::string gpus_words(const std::vector<int>& indices);
std::string gpus_words(const std::vector<ChosenGpu>& gpus);

/// The variable's value, or nothing where it is not set.
std::optional<std::string_view> variable(const Allowance& a, std::string_view name);

/// What programs of one family see.
struct VisibleList {
  std::vector<ChosenGpu> gpus;     ///< in the runtime's order
  bool restricted = false;         ///< a variable, or a container, was applied
  std::vector<std::string> because, warnings;
  std::optional<Error> uncertain;  ///< set: `gpus` is a guess, and this is why
};
VisibleList cuda_visible(const Machine& m, const Allowance& a);        // cuda_visible.cc
VisibleList rocm_visible(const Machine& m, const Allowance& a);        // rocm_visible.cc
VisibleList level_zero_visible(const Machine& m, const Allowance& a);  // level_zero_visible.cc

/// The NVIDIA GPUs that a process here can open, in PCI order: CUDA's indices count among them.
std::vector<const Gpu*> accessible_nvidia(const Machine& m);
/// Intel GPUs as Level Zero counts them; `pci_order`: ZE_ENABLE_PCI_ID_DEVICE_ORDER=1.
std::vector<const Gpu*> level_zero_order(const Machine& m, bool pci_order);
/// Tiles that Level Zero shows as devices of their own in its FLAT hierarchy; 1 for most GPUs.
int tiles_of(const Gpu& gpu);
bool is_flat_hierarchy(const Machine& m, const Allowance& a);

/// GPUs and MIG instances whose name `text` is or begins: "GPU-8932", "MIG-...", "MIG-GPU-UUID/GI/CI", letters in
/// either case. One entry: found; several: the prefix is not unique.
std::vector<ChosenGpu> find_by_uuid(const std::vector<const Gpu*>& among, std::string_view text);
/// One entry of NVIDIA_VISIBLE_DEVICES, or a CDI device's name: index in PCI order, UUID, or "GPU:MIG" indices.
std::optional<ChosenGpu> find_container_gpu(const std::vector<const Gpu*>& among, std::string_view entry);

}  // namespace numapin
