// ROCR_VISIBLE_DEVICES, and within what it leaves HIP_VISIBLE_DEVICES (or CUDA_VISIBLE_DEVICES, or GPU_DEVICE_ORDINAL).
//
// Sources: ROCR-Runtime core/runtime/amd_filter_device.cpp (set but empty: none; indices in KFD order, base 0 of strtol;
// "GPU-" + 16 hex digits or a unique prefix, in either case; the first invalid or repeated entry ends the list) and
// clr rocclr/device/rocm/rocdevice.cpp Device::init (HIP_VISIBLE_DEVICES where it is not empty, else
// CUDA_VISIBLE_DEVICES; empty: all; a repeated entry counts once; the first invalid entry ends the list; indices count
// among what ROCR left; OpenCL reads GPU_DEVICE_ORDINAL in the same way).
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

constexpr std::string_view kRocr = "ROCR_VISIBLE_DEVICES";

bool lists(const std::vector<ChosenGpu>& gpus, const ChosenGpu& gpu) {
  return std::find(gpus.begin(), gpus.end(), gpu) != gpus.end();
}

/// strtol(text, &end, 0) that must use the whole text: decimal, 0x hexadecimal, or octal after a 0.
std::optional<std::size_t> number_base_0(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) return parse_hex<std::size_t>(text);
  return parse_number<std::size_t>(text, text.size() > 1 && text.starts_with('0') ? 8 : 10);
}

std::optional<ChosenGpu> at(const std::vector<const Gpu*>& among, std::optional<std::size_t> index) {
  if (!index || *index >= among.size()) return std::nullopt;
  return ChosenGpu{among[*index]->index, "", {}};
}

std::optional<ChosenGpu> resolve_rocr(std::string_view entry, const std::vector<const Gpu*>& all) {
  entry = trim(entry);
  if (!to_lower(entry).starts_with('g')) return at(all, number_base_0(entry));
  const auto found = find_by_uuid(all, entry);
  return entry.size() >= 5 && found.size() == 1 ? std::optional(found[0]) : std::nullopt;
}

std::optional<ChosenGpu> resolve_hip(std::string_view entry, const std::vector<const Gpu*>& among) {
  if (entry.starts_with("GPU-")) {
    const auto found = find_by_uuid(among, entry);
    return found.empty() ? std::nullopt : std::optional(found[0]);
  }
  const bool canonical = entry == "0" || !entry.starts_with('0');  // HIP compares with the number printed again
  return canonical ? at(among, parse_number<std::size_t>(entry)) : std::nullopt;
}

void warn_invalid(std::string_view name, std::string_view value, std::string_view entry, VisibleList& view) {
  if (!entry.empty() && entry != "-1")
    view.warnings.push_back(
        fmt::format("{}={}: \"{}\" names no GPU here; it and what follows are ignored", name, value, entry));
}

std::vector<ChosenGpu> read_rocr_list(std::string_view value, const std::vector<const Gpu*>& all, VisibleList& view) {
  std::vector<ChosenGpu> gpus;
  for (const auto entry : split(value, ',')) {
    const auto found = resolve_rocr(entry, all);
    if (!found || lists(gpus, *found)) {
      warn_invalid(kRocr, value, entry, view);
      break;
    }
    gpus.push_back(*found);
  }
  view.because.push_back(fmt::format("{}={}: {}", kRocr, value, gpus_words(gpus)));
  return gpus;
}

std::vector<ChosenGpu> read_hip_list(std::string_view name, std::string_view value, const std::vector<const Gpu*>& among,
                                     VisibleList& view) {
  std::vector<ChosenGpu> gpus;
  for (const auto entry : split(value, ',')) {
    const auto found = resolve_hip(entry, among);
    if (!found) {
      warn_invalid(name, value, entry, view);
      break;
    }
    if (!lists(gpus, *found)) gpus.push_back(*found);
  }
  view.because.push_back(fmt::format("{}={}, counted within those: {}", name, value, gpus_words(gpus)));
  return gpus;
}

/// The variable that HIP (or, without one, OpenCL) reads: name and value. On a machine that has NVIDIA GPUs too,
/// CUDA_VISIBLE_DEVICES is taken to mean those.
std::optional<std::pair<std::string_view, std::string_view>> hip_variable(const Machine& m, const Allowance& a) {
  for (const std::string_view name : {"HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"}) {
    if (name == "CUDA_VISIBLE_DEVICES" && !gpus_of(m, GpuFamily::kCuda).empty()) continue;
    if (const auto value = variable(a, name); value && !value->empty()) return std::pair(name, *value);
  }
  return std::nullopt;
}

}  // namespace

VisibleList rocm_visible(const Machine& m, const Allowance& a) {
  VisibleList view;
  auto among = gpus_of(m, GpuFamily::kRocm);
  if (among.empty()) return view;
  for (const Gpu* gpu : among) view.gpus.push_back({gpu->index, "", {}});
  const auto rocr = variable(a, kRocr);
  if (rocr) {
    view.restricted = true;
    view.gpus = read_rocr_list(*rocr, among, view);
    among.clear();
    for (const auto& c : view.gpus) among.push_back(gpu_at(m, c.gpu));
  }
  const auto hip = hip_variable(m, a);
  if (!hip) return view;
  view.restricted = true;
  auto within = read_hip_list(hip->first, hip->second, among, view);
  if (rocr && *rocr == hip->second && within.size() < view.gpus.size()) {
    // Slurm writes one list into all of them (gres.conf without AutoDetect); read by the rules, HIP would lose GPUs.
    view.warnings.push_back(fmt::format("{0} and {1} both say {2}, but HIP counts the second within the first and would "
                                        "see {3}; both are taken to mean {4}",
                                        kRocr, hip->first, *rocr, gpus_words(within), gpus_words(view.gpus)));
    return view;
  }
  view.gpus = std::move(within);
  return view;
}

}  // namespace numapin
