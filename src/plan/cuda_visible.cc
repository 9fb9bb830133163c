// CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER and, in containers, NVIDIA_VISIBLE_DEVICES.
//
// Sources: CUDA Programming Guide, "CUDA Environment Variables" (unset: all; empty: none; indices or unique UUID
// prefixes; an invalid entry ends the list; MIG-UUID and MIG-GPU-UUID/GI/CI). What the guide leaves open follows
// PyTorch's re-statement of the driver's parser, torch/cuda/__init__.py: _parse_visible_devices (numbers as strtoul reads
// them: "1gpu2" is 1; a repeated entry makes the whole list empty; the first entry decides whether indices, GPU- or
// MIG- names are read, another kind ends the list). NVIDIA_VISIBLE_DEVICES: NVIDIA container toolkit, "GPU enumeration".
#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

/// As strtoul reads it: the number that the text begins with. Nothing for a negative or missing one.
std::optional<int> leading_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  return parse_number<int>(text.substr(0, text.find_first_not_of("0123456789")));
}

bool one_model(const std::vector<const Gpu*>& gpus) {
  return std::all_of(gpus.begin(), gpus.end(), [&](const Gpu* g) {
    if (g->device != 0 || gpus[0]->device != 0) return g->device == gpus[0]->device;
    return g->model.value == gpus[0]->model.value;
  });
}

/// GPUs by CUDA ordinal, where a source tells all of them.
std::optional<std::vector<const Gpu*>> by_known_ordinal(std::vector<const Gpu*> gpus) {
  for (const Gpu* g : gpus)
    if (!g->cuda_ordinal) return std::nullopt;
  std::sort(gpus.begin(), gpus.end(), [](const Gpu* x, const Gpu* y) { return *x->cuda_ordinal < *y->cuda_ordinal; });
  for (std::size_t i = 0; i < gpus.size(); ++i)
    if (*gpus[i]->cuda_ordinal != static_cast<int>(i)) return std::nullopt;  // seen through another list: no use
  return gpus;
}

/// The GPUs in the order of CUDA's indices; `uncertain` is set where only CUDA itself knows that order.
std::vector<const Gpu*> cuda_order(const std::vector<const Gpu*>& accessible, const Allowance& a, VisibleList& view) {
  if (variable(a, "CUDA_DEVICE_ORDER") == "PCI_BUS_ID" || one_model(accessible)) return accessible;
  if (auto known = by_known_ordinal(accessible)) return *known;
  view.uncertain = Error{
      Error::Kind::kBadInput,
      fmt::format("read CUDA_VISIBLE_DEVICES={}: the GPUs are of different models, and CUDA counts the fastest first",
                  *variable(a, "CUDA_VISIBLE_DEVICES")),
      "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID: then the list means the same outside CUDA"};
  return accessible;
}

/// One entry of the list, or nothing where CUDA finds it invalid. `kind` is "GPU-", "MIG-" or "" (indices).
std::optional<ChosenGpu> resolve(std::string_view entry, std::string_view kind,
                                 const std::vector<const Gpu*>& ordered) {
  if (!kind.empty()) {
    if (!entry.starts_with(kind)) return std::nullopt;
    const auto found = find_by_uuid(ordered, entry);
    return found.size() == 1 ? std::optional(found[0]) : std::nullopt;
  }
  const auto index = leading_number(entry);
  if (!index || *index >= static_cast<int>(ordered.size())) return std::nullopt;
  return ChosenGpu{ordered[static_cast<std::size_t>(*index)]->index, "", {}};
}

void read_cuda_list(std::string_view value, const std::vector<const Gpu*>& accessible, const Allowance& a,
                    VisibleList& view) {
  const std::string_view kind = value.starts_with("GPU-") ? "GPU-" : value.starts_with("MIG-") ? "MIG-" : "";
  const auto ordered = kind.empty() ? cuda_order(accessible, a, view) : accessible;
  for (const auto entry : split(value, ',')) {
    const auto found = resolve(entry, kind, ordered);
    if (!found) {
      // "" and "-1" are the usual ways to say "none" and "no more"
      if (!entry.empty() && entry != "-1")
        view.warnings.push_back(fmt::format(
            "CUDA_VISIBLE_DEVICES={}: \"{}\" names no GPU here; CUDA ignores it and what follows", value, entry));
      break;
    }
    if (std::find(view.gpus.begin(), view.gpus.end(), *found) != view.gpus.end()) {
      view.warnings.push_back(fmt::format(
          "CUDA_VISIBLE_DEVICES={}: \"{}\" is there twice, which makes CUDA see no GPU at all", value, entry));
      view.gpus.clear();
      break;
    }
    view.gpus.push_back(*found);
  }
  view.because.push_back(fmt::format("CUDA_VISIBLE_DEVICES={}: {}", value, gpus_words(view.gpus)));
}

/// What NVIDIA_VISIBLE_DEVICES names. Nothing where it does not limit ("all", "void", a mount path) or is not
/// understood.
std::optional<std::vector<ChosenGpu>> container_list(const Machine& m, const Allowance& a) {
  const auto value = variable(a, "NVIDIA_VISIBLE_DEVICES");
  // "void" is also what the toolkit leaves in a container that got its GPUs by CDI.
  if (!value || value->empty() || *value == "all" || *value == "void") return std::nullopt;
  std::vector<ChosenGpu> gpus;
  if (*value == "none") return gpus;
  const auto host = gpus_of(m, GpuFamily::kCuda);
  for (const auto entry : split(*value, ',')) {
    const auto found = find_container_gpu(host, trim(entry));
    if (!found) return std::nullopt;
    gpus.push_back(*found);
  }
  return gpus;
}

}  // namespace

std::vector<const Gpu*> accessible_nvidia(const Machine& m) {
  // sysfs shows a container every GPU of the host; NVML, and CUDA, only those whose device files it may open.
  const auto all = gpus_of(m, GpuFamily::kCuda);
  std::vector<const Gpu*> in_nvml;
  std::copy_if(all.begin(), all.end(), std::back_inserter(in_nvml), [](const Gpu* g) { return bool(g->nvml_index); });
  return in_nvml.empty() ? all : in_nvml;
}

VisibleList cuda_visible(const Machine& m, const Allowance& a) {
  VisibleList view;
  auto accessible = accessible_nvidia(m);
  const auto total = gpus_of(m, GpuFamily::kCuda).size();
  if (accessible.empty()) return view;
  if (accessible.size() < total) {
    view.restricted = true;
    view.because.push_back(fmt::format("the driver shows {} of {} NVIDIA GPUs here", accessible.size(), total));
  }
  const auto cuda = variable(a, "CUDA_VISIBLE_DEVICES");
  if (const auto listed = container_list(m, a); listed && accessible.size() == total) {
    view.restricted = true;
    view.because.push_back(
        fmt::format("NVIDIA_VISIBLE_DEVICES={}: {}", *variable(a, "NVIDIA_VISIBLE_DEVICES"), gpus_words(*listed)));
    view.gpus = *listed;
    if (!cuda) return view;
    view.gpus.clear();
    // Without NVML nothing but the variable says which GPUs CUDA's indices count among.
    if (!accessible[0]->nvml_index)
      std::erase_if(accessible, [&](const Gpu* g) {
        return std::none_of(listed->begin(), listed->end(), [&](const ChosenGpu& c) { return c.gpu == g->index; });
      });
  }
  if (cuda) {
    view.restricted = true;
    read_cuda_list(*cuda, accessible, a, view);
    return view;
  }
  for (const Gpu* gpu : accessible) view.gpus.push_back({gpu->index, "", {}});
  return view;
}

}  // namespace numapin
