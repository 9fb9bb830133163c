#include "plan/gpu_families.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

constexpr std::uint16_t kNvidia = 0x10de, kAmd = 0x1002, kIntel = 0x8086;

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return to_lower(text).starts_with(to_lower(prefix));
}

/// "MIG-GPU-UUID/GI/CI": the name of an instance before driver 470 (CUDA programming guide, environment variables).
std::optional<ChosenGpu> find_by_instance_ids(const std::vector<const Gpu*>& among, std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() != 3 || !starts_with_nocase(text, "MIG-GPU-")) return std::nullopt;
  const auto gi = parse_number<int>(parts[1]), ci = parse_number<int>(parts[2]);
  const auto uuid = to_lower(parts[0].substr(4));
  for (const Gpu* gpu : among) {
    if (!gpu->uuid || to_lower(*gpu->uuid) != uuid) continue;
    for (const auto& mig : gpu->mig)
      if (gi && ci && mig.gpu_instance == gi && mig.compute_instance == ci) return ChosenGpu{gpu->index, mig.uuid, {}};
  }
  return std::nullopt;
}

}  // namespace

GpuFamily family_of(const Gpu& gpu) {
  switch (gpu.vendor) {
    case 0:
    case kNvidia: return GpuFamily::kCuda;
    case kAmd: return GpuFamily::kRocm;
    case kIntel: return GpuFamily::kLevelZero;
    default: return GpuFamily::kOther;
  }
}

std::string_view vendor_of(GpuFamily family) {
  switch (family) {
    case GpuFamily::kCuda: return "NVIDIA";
    case GpuFamily::kRocm: return "AMD";
    case GpuFamily::kLevelZero: return "Intel";
    case GpuFamily::kOther: break;
  }
  return "other";
}

std::vector<const Gpu*> gpus_of(const Machine& m, GpuFamily family) {
  std::vector<const Gpu*> found;
  for (const auto& gpu : m.gpus)
    if (family_of(gpu) == family) found.push_back(&gpu);
  return found;
}

const Gpu* gpu_at(const Machine& m, int index) {
  const auto it = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
  return it == m.gpus.end() ? nullptr : &*it;
}

std::string index_list(const std::vector<int>& indices) {
  detail::Bits bits;
  for (int i : indices) bits.insert(i);
  return bits.to_list();
}

std::string index_list(const std::vector<ChosenGpu>& gpus) {
  std::vector<int> indices;
  for (const auto& g : gpus) indices.push_back(g.gpu);
  return index_list(indices);
}

std::string gpus_words(const std::vector<int>& indices) {
  if (indices.empty()) return "no GPU";
  return fmt::format("{} {}", indices.size() == 1 ? "GPU" : "GPUs", index_list(indices));
}

std::string gpus_words(const std::vector<ChosenGpu>& gpus) {
  if (gpus.empty()) return "no GPU";
  return fmt::format("{} {}", gpus.size() == 1 ? "GPU" : "GPUs", index_list(gpus));
}

std::optional<std::string_view> variable(const Allowance& a, std::string_view name) {
  const auto it = a.visible_env.find(std::string(name));
  if (it == a.visible_env.end()) return std::nullopt;
  return it->second;
}

std::vector<ChosenGpu> find_by_uuid(const std::vector<const Gpu*>& among, std::string_view text) {
  if (const auto found = find_by_instance_ids(among, text)) return {*found};
  std::vector<ChosenGpu> found;
  if (text.empty()) return found;
  for (const Gpu* gpu : among) {
    if (gpu->uuid && to_lower(*gpu->uuid) == to_lower(text)) return {{gpu->index, "", {}}};
    if (gpu->uuid && starts_with_nocase(*gpu->uuid, text)) found.push_back({gpu->index, "", {}});
    for (const auto& mig : gpu->mig) {
      if (to_lower(mig.uuid) == to_lower(text)) return {{gpu->index, mig.uuid, {}}};
      if (starts_with_nocase(mig.uuid, text)) found.push_back({gpu->index, mig.uuid, {}});
    }
  }
  return found;
}

std::optional<ChosenGpu> find_container_gpu(const std::vector<const Gpu*>& among, std::string_view entry) {
  const auto parts = split(entry, ':');
  const auto index = parse_number<std::size_t>(parts[0]);
  if (index && *index < among.size()) {
    const Gpu* gpu = among[*index];
    if (parts.size() == 1) return ChosenGpu{gpu->index, "", {}};
    const auto mig = parse_number<std::size_t>(parts[1]);
    if (parts.size() == 2 && mig && *mig < gpu->mig.size()) return ChosenGpu{gpu->index, gpu->mig[*mig].uuid, {}};
  }
  const auto found = find_by_uuid(among, entry);
  return found.size() == 1 ? std::optional(found[0]) : std::nullopt;
}

}  // namespace numapin
