// The variables that show a process exactly its GPUs. The rules behind each are in the *_visible.cc files.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "numapin/visible.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

std::vector<ChosenGpu> chosen_of(const Machine& m, std::span<const ChosenGpu> gpus, GpuFamily family) {
  std::vector<ChosenGpu> found;
  for (const auto& chosen : gpus)
    if (const Gpu* gpu = gpu_at(m, chosen.gpu); gpu != nullptr && family_of(*gpu) == family) found.push_back(chosen);
  return found;
}

/// Positions of the chosen among the GPUs that the runtime counts: "2,0".
std::string positions(const std::vector<ChosenGpu>& chosen, const std::vector<const Gpu*>& among) {
  std::vector<std::string> numbers;
  for (const auto& c : chosen) {
    const auto it = std::find_if(among.begin(), among.end(), [&](const Gpu* g) { return g->index == c.gpu; });
    if (it != among.end()) numbers.push_back(std::to_string(it - among.begin()));
  }
  return join(numbers, ",");
}

/// "0,1,...": all of what is left, in its order.
std::string first_numbers(std::size_t count) {
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return join(numbers, ",");
}

/// The UUIDs of the chosen, or nothing where one is unknown. A partitioned GPU is shown by its first MIG instance:
/// CUDA enumerates one instance a process (MIG user guide, "CUDA device enumeration").
std::optional<std::string> cuda_uuids(const Machine& m, const std::vector<ChosenGpu>& chosen) {
  std::vector<std::string> uuids;
  for (const auto& c : chosen) {
    const Gpu& gpu = *gpu_at(m, c.gpu);
    if (!c.mig_uuid.empty()) {
      uuids.push_back(c.mig_uuid);
    } else if (!gpu.mig.empty()) {
      uuids.push_back(gpu.mig[0].uuid);
    } else if (gpu.uuid) {
      uuids.push_back(*gpu.uuid);
    } else {
      return std::nullopt;
    }
  }
  return join(uuids, ",");
}

void set_cuda(const Machine& m, const std::vector<ChosenGpu>& chosen, Environment& env) {
  if (gpus_of(m, GpuFamily::kCuda).empty()) return;
  if (const auto uuids = cuda_uuids(m, chosen)) {
    env.emplace_back("CUDA_VISIBLE_DEVICES", *uuids);
    return;
  }
  env.emplace_back("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
  env.emplace_back("CUDA_VISIBLE_DEVICES", positions(chosen, accessible_nvidia(m)));
}

/// ROCR takes "GPU-" and 16 hexadecimal digits; partitions of one GPU may share it.
std::optional<std::string> rocr_uuids(const std::vector<const Gpu*>& amd, const Machine& m,
                                      const std::vector<ChosenGpu>& chosen) {
  std::multiset<std::string> known;
  for (const Gpu* gpu : amd)
    if (gpu->uuid) known.insert(to_lower(*gpu->uuid));
  std::vector<std::string> uuids;
  for (const auto& c : chosen) {
    const Gpu& gpu = *gpu_at(m, c.gpu);
    if (!gpu.uuid || gpu.uuid->size() != 20 || !gpu.uuid->starts_with("GPU-") ||
        gpu.uuid->find_first_not_of("0123456789abcdefABCDEF", 4) != std::string::npos ||
        known.count(to_lower(*gpu.uuid)) != 1)
      return std::nullopt;
    uuids.push_back(*gpu.uuid);
  }
  return join(uuids, ",");
}

void set_rocm(const Machine& m, const Allowance& a, const std::vector<ChosenGpu>& chosen, Environment& env) {
  const auto amd = gpus_of(m, GpuFamily::kRocm);
  if (amd.empty()) return;
  const auto uuids = rocr_uuids(amd, m, chosen);
  env.emplace_back("ROCR_VISIBLE_DEVICES", uuids ? *uuids : positions(chosen, amd));
  if (chosen.empty()) return;
  // HIP counts within what ROCR leaves, so an inherited list would hide GPUs or mean others. HIP_VISIBLE_DEVICES wins
  // over CUDA_VISIBLE_DEVICES, which may be inherited or set above for NVIDIA's GPUs.
  const auto inherited = [&](std::string_view name) {
    const auto value = variable(a, name);
    return value && !value->empty();
  };
  const bool cuda_now = std::any_of(env.begin(), env.end(), [](const auto& e) {
    return e.first == "CUDA_VISIBLE_DEVICES" && !e.second.empty();
  });
  const bool cuda_inherited = gpus_of(m, GpuFamily::kCuda).empty() && inherited("CUDA_VISIBLE_DEVICES");
  if (inherited("HIP_VISIBLE_DEVICES") || cuda_now || cuda_inherited)
    env.emplace_back("HIP_VISIBLE_DEVICES", first_numbers(chosen.size()));
  if (inherited("GPU_DEVICE_ORDINAL")) env.emplace_back("GPU_DEVICE_ORDINAL", first_numbers(chosen.size()));
}

void set_level_zero(const Machine& m, const Allowance& a, const std::vector<ChosenGpu>& chosen, Environment& env) {
  if (chosen.empty()) return;  // an empty mask would show all of them
  const auto cards = level_zero_order(m, true);
  const bool flat = is_flat_hierarchy(m, a);
  std::vector<std::string> entries;
  int first_tile = 0;
  for (std::size_t i = 0; i < cards.size(); first_tile += tiles_of(*cards[i]), ++i) {
    for (const auto& c : chosen) {
      if (c.gpu != cards[i]->index) continue;
      auto tiles = c.tiles;
      if (flat && tiles.empty())
        for (int t = 0; t < tiles_of(*cards[i]); ++t) tiles.push_back(t);
      if (tiles.empty()) entries.push_back(std::to_string(i));
      for (int t : tiles) entries.push_back(flat ? std::to_string(first_tile + t) : fmt::format("{}.{}", i, t));
    }
  }
  if (cards.size() > 1) env.emplace_back("ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1");
  env.emplace_back("ZE_AFFINITY_MASK", join(entries, ","));
}

}  // namespace

Environment visible_environment(const Machine& m, const Allowance& a, std::span<const ChosenGpu> gpus) {
  Environment env;
  if (gpus.empty()) return env;
  set_cuda(m, chosen_of(m, gpus, GpuFamily::kCuda), env);
  set_rocm(m, a, chosen_of(m, gpus, GpuFamily::kRocm), env);
  set_level_zero(m, a, chosen_of(m, gpus, GpuFamily::kLevelZero), env);
  return env;
}

}  // namespace numapin
