#include "numapin/visible.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

constexpr std::string_view kVariables[] = {
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER",  "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",  "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK",       "ZE_FLAT_DEVICE_HIERARCHY",
    "ZE_ENABLE_PCI_ID_DEVICE_ORDER"};

/// What all runtimes together leave visible.
struct Visible {
  VisibleList cuda, rocm, level_zero;
  std::vector<ChosenGpu> gpus;  ///< what an index counts among

  bool restricted() const { return cuda.restricted || rocm.restricted || level_zero.restricted; }
  const VisibleList* of(GpuFamily family) const {
    switch (family) {
      case GpuFamily::kCuda: return &cuda;
      case GpuFamily::kRocm: return &rocm;
      case GpuFamily::kLevelZero: return &level_zero;
      case GpuFamily::kOther: break;
    }
    return nullptr;
  }
  std::vector<const VisibleList*> restricting() const {
    std::vector<const VisibleList*> lists;
    for (const auto* list : {&cuda, &rocm, &level_zero})
      if (list->restricted) lists.push_back(list);
    return lists;
  }
};

Visible look(const Machine& m, const Allowance& a) {
  Visible v{cuda_visible(m, a), rocm_visible(m, a), level_zero_visible(m, a), {}};
  // Whoever limits one vendor's GPUs means those: a workstation's other GPU does not shift the count.
  for (const auto* list : v.restricting()) v.gpus.insert(v.gpus.end(), list->gpus.begin(), list->gpus.end());
  if (!v.restricted())
    for (const auto& gpu : m.gpus) v.gpus.push_back({gpu.index, "", {}});
  return v;
}

GpuChoice with_reasons(const Visible& v) {
  GpuChoice choice;
  for (const auto* list : v.restricting()) {
    choice.because.insert(choice.because.end(), list->because.begin(), list->because.end());
    choice.warnings.insert(choice.warnings.end(), list->warnings.begin(), list->warnings.end());
  }
  return choice;
}

/// One line of what there is to choose from: the hint of every wrong choice.
std::string what_is_there(const Machine& m, const Visible& v) {
  const auto count = static_cast<int>(v.gpus.size());
  if (m.gpus.empty()) return "this machine has no GPU that a job can be bound to";
  const std::string range = count == 1 ? "GPU 0" : fmt::format("GPUs 0-{}", count - 1);
  if (!v.restricted()) return fmt::format("this machine has {}", range);
  std::vector<std::string> reasons;
  for (const auto* list : v.restricting())
    reasons.insert(reasons.end(), list->because.begin(), list->because.end());
  if (count == 0) return fmt::format("no GPU is visible ({})", join(reasons, "; "));
  return fmt::format("visible are {}, counted within the visible ones ({})", range, join(reasons, "; "));
}

bool same_nodes(const std::vector<const Gpu*>& gpus) {
  return std::all_of(gpus.begin(), gpus.end(), [&](const Gpu* g) {
    return g->numa_nodes && g->numa_nodes.value == gpus[0]->numa_nodes.value;
  });
}

/// Reads one --gpu SPEC against what is visible.
class SpecReader {
 public:
  SpecReader(const Machine& m, const Visible& v) : m_(m), v_(v) {
    for (const auto& gpu : m.gpus) all_.push_back(&gpu);
  }

  Result<std::vector<ChosenGpu>> read(std::string_view spec) {
    if (trim(spec) == "none") return std::vector<ChosenGpu>{};
    for (const auto part : split(spec, ',')) {
      const auto item = trim(part);
      column_ = static_cast<int>((item.empty() ? part.data() : item.data()) - spec.data()) + 1;
      NUMAPIN_TRY(const auto found, resolve(spec, item));
      for (const auto& chosen : found) {
        if (std::find(chosen_.begin(), chosen_.end(), chosen) != chosen_.end())
          return bad_input(fmt::format("choose GPU {}: named twice in \"{}\"", item, spec), "name each GPU once");
        chosen_.push_back(chosen);
      }
    }
    return chosen_;
  }

 private:
  using Found = Result<std::vector<ChosenGpu>>;

  Found resolve(std::string_view spec, std::string_view item) const {
    if (item == "all") return v_.gpus.empty() ? Found(not_found(item)) : Found(v_.gpus);
    if (const auto index = parse_number<int>(item)) return by_index(*index);
    if (const auto dash = item.find('-'); dash != item.npos) {
      const auto first = parse_number<int>(item.substr(0, dash)), last = parse_number<int>(item.substr(dash + 1));
      if (first && last) return by_range(item, *first, *last);
    }
    if (item.find(':') != item.npos) return by_address(item);
    const auto lower = to_lower(item);
    if (lower.starts_with("gpu-") || lower.starts_with("mig-")) return by_uuid(item);
    return bad_input(fmt::format("read GPU list \"{}\": column {}: \"{}\" is no index, range, UUID or PCI address", spec,
                                 column_, item),
                     "examples: 0   0-3   0,2   GPU-8932f937   0000:18:00.0   all");
  }

  Unexpected not_found(std::string_view item) const {
    return fail(Error::Kind::kNotFound, fmt::format("choose GPU {}: no such GPU", item), what_is_there(m_, v_));
  }

  Found by_index(int index) const {
    if (index < 0 || index >= static_cast<int>(v_.gpus.size())) return not_found(std::to_string(index));
    const auto& chosen = v_.gpus[static_cast<std::size_t>(index)];
    if (const auto* list = v_.of(family_of(*gpu_at(m_, chosen.gpu))); list && list->uncertain)
      return Unexpected(*list->uncertain);
    return std::vector{chosen};
  }

  Found by_range(std::string_view item, int first, int last) const {
    if (first > last)
      return bad_input(fmt::format("read GPU range {}: it runs backwards", item), fmt::format("write {}-{}", last, first));
    std::vector<ChosenGpu> found;
    for (int i = first; i <= last; ++i) {
      NUMAPIN_TRY(const auto one, by_index(i));
      found.push_back(one[0]);
    }
    return found;
  }

  Found by_address(std::string_view item) const {
    const auto address = PciAddress::parse(item);
    if (!address)
      return bad_input(fmt::format("read PCI address {}: not of the form 0000:18:00.0", item), what_is_there(m_, v_));
    const bool has_domain = std::count(item.begin(), item.end(), ':') == 2;
    std::vector<ChosenGpu> found;
    for (const auto& gpu : m_.gpus) {
      if (!gpu.address) continue;
      auto seen = *gpu.address;
      if (!has_domain) seen.domain = address->domain;  // "01:00.0" on a machine whose GPUs are in other domains
      if (seen == *address) found.push_back({gpu.index, "", {}});
    }
    return only_visible(item, found);
  }

  Found by_uuid(std::string_view item) const { return only_visible(item, find_by_uuid(all_, item)); }

  /// `found` must be one GPU (partitions of one PCI function count as one), and not hidden.
  Found only_visible(std::string_view item, const std::vector<ChosenGpu>& found) const {
    if (found.empty()) return not_found(item);
    const auto& address = gpu_at(m_, found[0].gpu)->address;
    for (const auto& other : found)
      if (other.gpu != found[0].gpu && (!address || gpu_at(m_, other.gpu)->address != address))
        return bad_input(fmt::format("choose GPU {}: it means several, {}", item, gpus_words(found)),
                         "write more of it, so that it means one");
    if (found.size() > 1 && found[0].gpu == found[1].gpu)
      return bad_input(fmt::format("choose GPU {}: it means several MIG instances of GPU {}", item, found[0].gpu),
                       "write more of it, so that it means one");
    std::vector<ChosenGpu> visible;
    for (const auto& one : found) {
      const auto part = visible_part(one);
      visible.insert(visible.end(), part.begin(), part.end());
    }
    if (visible.empty())
      return fail(Error::Kind::kNotFound, fmt::format("choose GPU {}: it is hidden here", item), what_is_there(m_, v_));
    return visible;
  }

  std::vector<ChosenGpu> visible_part(const ChosenGpu& wanted) const {
    const auto* list = v_.of(family_of(*gpu_at(m_, wanted.gpu)));
    if (list == nullptr || !list->restricted || list->uncertain) return {wanted};
    std::vector<ChosenGpu> part;
    for (const auto& seen : list->gpus) {
      if (seen.gpu != wanted.gpu) continue;
      if (seen.mig_uuid == wanted.mig_uuid || seen.mig_uuid.empty())
        part.push_back(wanted.mig_uuid.empty() ? seen : wanted);
      else if (wanted.mig_uuid.empty())
        part.push_back(seen);
    }
    return part;
  }

  const Machine& m_;
  const Visible& v_;
  std::vector<const Gpu*> all_;
  std::vector<ChosenGpu> chosen_;
  int column_ = 1;
};

}  // namespace

std::span<const std::string_view> visibility_variables() { return kVariables; }

Result<GpuChoice> visible_gpus(const Machine& m, const Allowance& a) {
  const auto v = look(m, a);
  auto choice = with_reasons(v);
  choice.gpus = v.gpus;
  if (v.cuda.uncertain) {
    const auto among = accessible_nvidia(m);
    const bool all = v.cuda.gpus.size() == among.size();
    if (!all && !same_nodes(among)) return Unexpected(*v.cuda.uncertain);
    choice.warnings.push_back(fmt::format("which GPUs CUDA_VISIBLE_DEVICES={} means is known to CUDA only ({}); {}",
                                          *variable(a, "CUDA_VISIBLE_DEVICES"), "their models differ",
                                          all ? "it means all of them in some order" : "all are on the same nodes"));
  }
  if (!v.restricted() && m.gpus.size() > 1)
    choice.because.push_back(fmt::format("no GPU was named and no variable limits them: all {} GPUs", m.gpus.size()));
  return choice;
}

Result<GpuChoice> choose_gpus(const Machine& m, const Allowance& a, std::optional<std::string_view> spec) {
  if (!spec) return visible_gpus(m, a);
  const auto v = look(m, a);
  auto choice = with_reasons(v);
  choice.named = true;
  NUMAPIN_TRY(choice.gpus, SpecReader(m, v).read(*spec));
  choice.because.push_back(fmt::format("--gpu {}: {}", *spec, gpus_words(choice.gpus)));
  return choice;
}

}  // namespace numapin
