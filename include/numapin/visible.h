// Which GPUs a job means: --gpu, inside the visible-GPU variables of CUDA, ROCm and Level Zero, and the variables to
// set so that a process sees exactly its own. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// A GPU, or a part of it.
struct ChosenGpu {
  int gpu = 0;                     ///< Gpu::index
  std::string mig_uuid;            ///< "MIG-..." where one MIG instance is meant; else ""
  std::vector<int> tiles;          ///< Intel: the tiles that ZE_AFFINITY_MASK leaves of it; empty: all of them
  bool operator==(const ChosenGpu&) const = default;
};

struct GpuChoice {
  std::vector<ChosenGpu> gpus;        ///< in the order asked
  bool named = false;                 ///< by --gpu; false: what is visible
  std::vector<std::string> because;   ///< how the choice came about, one step a line
  std::vector<std::string> warnings;  ///< "CUDA_VISIBLE_DEVICES=0,7,1: \"7\" names no GPU here; CUDA ignores it and ..."
  bool operator==(const GpuChoice&) const = default;
};

/// Names of the environment variables that choose_gpus() looks up in Allowance::visible_env.
std::span<const std::string_view> visibility_variables();

/// The GPUs that programs started from this environment would see, in their order.
/// Error kBadInput where the environment's meaning cannot be known (see cuda_visible.cc) and it matters.
Result<GpuChoice> visible_gpus(const Machine& m, const Allowance& a);

/// What `--gpu SPEC` means: a comma list of indices among the visible GPUs (in PCI order where no variable is set),
/// ranges "0-3", UUIDs or unique prefixes of them ("GPU-8932f937", "MIG-..."), "MIG-GPU-UUID/GI/CI", PCI addresses
/// ("0000:18:00.0", "18:00.0"), "all", "none". Without a SPEC: visible_gpus().
/// Errors: kBadInput (malformed, named twice), kNotFound (no such GPU; the hint lists what there is).
Result<GpuChoice> choose_gpus(const Machine& m, const Allowance& a, std::optional<std::string_view> spec);

/// The variables that make exactly these GPUs visible, in the order given: UUIDs where they are known, else indices
/// with CUDA_DEVICE_ORDER=PCI_BUS_ID. Variables in `a` that would now count within another list are renumbered.
/// NVIDIA and AMD GPUs are hidden where none of their vendor was chosen. Nothing where `gpus` is empty.
std::vector<std::pair<std::string, std::string>> visible_environment(const Machine& m, const Allowance& a,
                                                                     std::span<const ChosenGpu> gpus);

/// What is known of a GPU's use by others, for choose_best_connected().
struct GpuUse {
  int gpu = 0;  ///< Gpu::index
  std::optional<bool> busy;
  std::optional<std::uint64_t> memory_free_bytes;
};
/// `--gpus N`: of the visible GPUs that are not known to be busy, the N that are best connected with each other: the
/// worst link first, then the sum of links, then fewest NUMA nodes, then most free memory, then lowest index.
/// Error kNotFound when there are fewer than N.
Result<GpuChoice> choose_best_connected(const Machine& m, const Allowance& a, int count,
                                        std::span<const GpuUse> use = {});

}  // namespace numapin
