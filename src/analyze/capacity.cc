#include "analyze/capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analyze/measured_rates.h"
#include "machine/made_up_link.h"
#include "machine/pcie.h"

namespace numapin {
namespace {

constexpr double kMegabit = 1.0 / 8000;  // GB/s
/// No GPU has so many: bonds then never look like more links than there are.
constexpr int kMoreNvlinksThanAny = 18;

Capacity measured(double gb_per_s, std::string because) { return {gb_per_s, Basis::kMeasured, std::move(because)}; }

/// The speed a link has under load: an idle GPU lets its link sleep at Gen1, so the most both ends can; the width does not
/// sleep, so as it is now. Other devices' links do not sleep.
std::optional<PciLink> awake(const PciDevice& d, bool sleeps) {
  if ((!d.link && !d.link_max) || (sleeps && has_made_up_link(d))) return std::nullopt;
  auto link = d.link ? *d.link : *d.link_max;
  if (d.link_max && (sleeps || link.gt_per_s <= 0)) link.gt_per_s = std::max(link.gt_per_s, d.link_max->gt_per_s);
  if (d.link_max && link.width <= 0) link.width = d.link_max->width;
  if (link.gt_per_s <= 0 || link.width <= 0) return std::nullopt;
  return link;
}

/// Neighbours on a wire see the same link from both ends: the slower speed and the narrower width count.
std::optional<PciLink> slowest(const std::vector<const PciDevice*>& wire, bool sleeps) {
  std::optional<PciLink> least;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    auto link = awake(*wire[i], sleeps);
    if (!link) continue;
    if (i == 0 && wire.size() > 1)
      if (const auto port = awake(*wire[1], sleeps)) link = PciLink{std::min(link->gt_per_s, port->gt_per_s), std::min(link->width, port->width)};
    if (!least || link->gb_per_s() < least->gb_per_s()) least = link;
  }
  return least;
}

}  // namespace

CapacityTable::CapacityTable(const Machine& m, const Measured* measured)
    : m_(m), measured_(measured), cpu_(m.cpu_model ? find_cpu_rates(*m.cpu_model) : std::nullopt) {}

const Gpu* CapacityTable::gpu_at(int index) const {
  const auto found = std::find_if(m_.gpus.begin(), m_.gpus.end(), [&](const Gpu& g) { return g.index == index; });
  return found == m_.gpus.end() ? nullptr : &*found;
}

/// The best a GPU got with the memory of the nodes near to it.
std::optional<double> CapacityTable::to_gpu(int gpu, const NodeSet& near, bool towards_gpu) const {
  std::optional<double> best;
  if (measured_ == nullptr) return best;
  for (const auto node : near)
    if (const auto rate = measured_copy(*measured_, node, gpu, towards_gpu); rate && *rate > best.value_or(0)) best = rate;
  return best;
}

CapacityTable::TwoWay CapacityTable::pcie(const std::vector<const PciDevice*>& wire, const Gpu* gpu, const NodeSet& near) const {
  TwoWay way{"PCIe", {}, {}};
  const auto link = slowest(wire, gpu != nullptr);
  const auto known = gpu != nullptr ? find_gpu_rates(*gpu) : std::nullopt;
  if (link) {
    way.kind = link_name(*link);
    way.up = way.down = {payload_gb_per_s(*link), Basis::kLink, payload_words(*link)};
  } else if (known && known->pcie.width > 0) {
    way.kind = link_name(known->pcie);
    way.up = way.down = {payload_gb_per_s(known->pcie), Basis::kGuess,
                         fmt::format("what a {} has, the machine's own is unknown: {}", known->name, payload_words(known->pcie))};
  } else {
    way.up.because = way.down.because = "no source tells the link's speed";
  }
  if (gpu == nullptr || near.empty()) return way;
  if (const auto rate = to_gpu(gpu->index, near, true)) way.down = measured(*rate, "copies from host memory");
  if (const auto rate = to_gpu(gpu->index, near, false)) way.up = measured(*rate, "copies to host memory");
  return way;
}

/// POWER9 reaches its V100 over NVLink: those links that go to no other GPU.
std::optional<int> CapacityTable::nvlinks_to_cpu(const Gpu& gpu) const {
  const auto rates = find_gpu_rates(gpu);
  if (!m_.architecture.value_or("").starts_with("ppc64") || !rates || rates->nvlinks == 0) return std::nullopt;
  int left = rates->nvlinks;
  for (const auto& link : m_.links)
    if (link.kind == LinkKind::kNvlink && link.from == DeviceRef{DeviceRef::Type::kGpu, gpu.index}) left -= link.count.value_or(1);
  return left;
}

bool CapacityTable::has_c2c(const Gpu& gpu) const {
  const auto rates = find_gpu_rates(gpu);
  if (!rates) return false;
  return rates->shares_memory || nvlinks_to_cpu(gpu).value_or(0) > 0 || (rates->c2c_to_gpu > 0 && m_.architecture.value_or("") != "x86_64");
}

CapacityTable::TwoWay CapacityTable::nvlink_to_cpu(const Gpu& gpu, const GpuRates& rates) const {
  const int count = *nvlinks_to_cpu(gpu);
  // Without links between GPUs the sources did not look at NVLink at all.
  if (count == rates.nvlinks) return {"NVLink to the CPU", {{}, Basis::kUnknown, "no source counts the NVLinks"}, {{}, Basis::kUnknown, "no source counts the NVLinks"}};
  const Capacity capacity{count * rates.nvlink_gb_per_s, Basis::kGuess, fmt::format("{} of {} links, which no other GPU has: {}", count, rates.nvlinks, rates.nvlink_because)};
  return {fmt::format("NV{} to the CPU", count), capacity, capacity};
}

CapacityTable::TwoWay CapacityTable::c2c(int gpu) const {
  TwoWay way{"NVLink-C2C", {}, {}};
  const auto* found = gpu_at(gpu);
  const auto rates = found != nullptr ? find_gpu_rates(*found) : std::nullopt;
  if (rates && rates->c2c_to_gpu > 0) {
    way.down = {rates->c2c_to_gpu, Basis::kPublished, std::string(rates->c2c_because)};
    way.up = {rates->c2c_to_cpu, Basis::kPublished, std::string(rates->c2c_because)};
  } else if (rates && rates->shares_memory) {
    way = {"one package", {}, {}};
    way.up.because = way.down.because = "CPU and GPU are one package with one memory: nothing needs to be copied";
  } else if (found != nullptr && nvlinks_to_cpu(*found)) {
    way = nvlink_to_cpu(*found, *rates);
  }
  const auto near = found != nullptr ? found->numa_nodes.value_or({}) : NodeSet{};
  if (const auto rate = to_gpu(gpu, near, true)) way.down = measured(*rate, "copies from host memory");
  if (const auto rate = to_gpu(gpu, near, false)) way.up = measured(*rate, "copies to host memory");
  return way;
}

Capacity CapacityTable::memory(const NumaNode& node, int nodes_of_socket, bool has_cpus) const {
  if (measured_ != nullptr)
    if (const auto rate = measured_read(*measured_, node.id, node.id)) return measured(*rate, "reads by the node's CPUs");
  if (node.access0 && node.access0->read_bandwidth_mb_per_s.value_or(0) > 0)
    return {*node.access0->read_bandwidth_mb_per_s / 1000.0, Basis::kHmat, "reads from the best initiator, as the firmware says"};
  if (!has_cpus || node.kind.value_or(MemoryKind::kDram) != MemoryKind::kDram) return {{}, Basis::kUnknown, "neither HMAT nor a measurement tells this memory's rate"};
  if (!cpu_ || cpu_->memory_gb_per_s <= 0) return {{}, Basis::kUnknown, "the table does not have this CPU"};
  return {cpu_->memory_gb_per_s / nodes_of_socket, Basis::kGuess,
          fmt::format("{}: {}{}", cpu_->name, cpu_->memory_because,
                      nodes_of_socket > 1 ? fmt::format(", shared by {} nodes", nodes_of_socket) : "")};
}

std::string CapacityTable::interconnect_name() const { return cpu_ ? std::string(cpu_->interconnect) : "socket interconnect"; }

Capacity CapacityTable::interconnect(int from, int to, int neighbours, const std::vector<int>& socket_of) const {
  std::optional<double> best;
  for (std::size_t i = 0; measured_ != nullptr && i < m_.nodes.size(); ++i)
    for (std::size_t j = 0; j < m_.nodes.size(); ++j) {
      if (socket_of[i] != from || socket_of[j] != to) continue;
      if (const auto rate = measured_read(*measured_, m_.nodes[j].id, m_.nodes[i].id); rate && *rate > best.value_or(0)) best = rate;
    }
  if (best) return measured(*best, "reads of the other socket's memory");
  if (!cpu_ || cpu_->interconnect_gb_per_s <= 0) return {{}, Basis::kUnknown, "the table does not have this CPU"};
  const auto shared = neighbours > 1 ? fmt::format(", for {} sockets", neighbours) : std::string();
  return {cpu_->interconnect_gb_per_s / neighbours, cpu_->interconnect_is_guess || neighbours > 1 ? Basis::kGuess : Basis::kPublished,
          fmt::format("{}: {}{}", cpu_->name, cpu_->interconnect_because, shared)};
}

Capacity CapacityTable::nvlink(int from, int to, std::optional<int> count, int bonds) const {
  if (measured_ != nullptr) {
    const auto rate = from == to ? measured_best_copy(*measured_, from) : measured_copy_to(*measured_, from, to);
    if (rate) return measured(*rate, "copies between GPUs");
  }
  const auto* gpu = gpu_at(from);
  const auto rates = gpu != nullptr ? find_gpu_rates(*gpu) : std::nullopt;
  const int links = count.value_or(rates ? std::max(1, rates->nvlinks / bonds) : 1);
  const auto doubt = count ? std::string() : std::string("; no source counts the links");
  if (rates && rates->nvlink_gb_per_s > 0)
    return {rates->nvlink_gb_per_s * links, count ? Basis::kPublished : Basis::kGuess, fmt::format("{} x {}{}", links, rates->nvlink_because, doubt)};
  // NVLink 2, 3 and 4 have 25 GB/s a link; the slowest that copies get of it among A100, H100 and V100.
  return {20.9 * links, Basis::kGuess, fmt::format("{} links of a GPU of unknown kind, taken for NVLink 2 to 4: 20.9 to 23.9 GB/s a link of 25{}", links, doubt)};
}

Capacity CapacityTable::xgmi(int from, int to, std::optional<int> count) const {
  if (measured_ != nullptr)
    if (const auto rate = measured_copy_to(*measured_, from, to)) return measured(*rate, "copies between GPUs");
  const auto* gpu = gpu_at(from);
  const auto rates = gpu != nullptr ? find_gpu_rates(*gpu) : std::nullopt;
  if (!rates || rates->xgmi_gb_per_s <= 0) return {{}, Basis::kUnknown, "the table does not have this GPU"};
  const int links = count.value_or(1);
  return {rates->xgmi_gb_per_s * links, count ? Basis::kPublished : Basis::kGuess,
          fmt::format("{} x {}{}", links, rates->xgmi_because, count ? "" : "; no source counts the links")};
}

int CapacityTable::nvlinks_of(int gpu) const {
  const auto* found = gpu_at(gpu);
  const auto rates = found != nullptr ? find_gpu_rates(*found) : std::nullopt;
  return rates && rates->nvlinks > 0 ? rates->nvlinks : kMoreNvlinksThanAny;
}

Capacity CapacityTable::port(const Nic& nic) const {
  if (!nic.speed_mb_per_s || *nic.speed_mb_per_s <= 0) return {{}, Basis::kUnknown, "no source tells the port's speed"};
  return {*nic.speed_mb_per_s * kMegabit, Basis::kLink, fmt::format("{:g} Gbit/s, headers not taken off", *nic.speed_mb_per_s / 1000.0)};
}

HostRules CapacityTable::rules() const {
  HostRules r;
  if (!cpu_) return r;
  const auto some = [](double v) { return v > 0 ? std::optional(v) : std::nullopt; };
  r.peer_weight = cpu_->peer_weight;
  r.peer_weight_because = cpu_->peer_weight_because;
  r.remote_read = some(cpu_->remote_read);
  r.remote_write = some(cpu_->remote_write);
  r.remote_because = cpu_->remote_because;
  r.remote_peer = some(cpu_->remote_peer);
  r.remote_peer_because = cpu_->remote_peer_because;
  r.remote_peer_unknown = cpu_->remote_peer_unknown;
  return r;
}

std::vector<MeasuredPair> CapacityTable::measured_pairs() const {
  std::vector<MeasuredPair> pairs;
  if (measured_ == nullptr) return pairs;
  const auto add = [&](DeviceRef from, DeviceRef to, std::optional<double> rate) {
    if (rate && *rate > 0) pairs.push_back({from, to, *rate});
  };
  for (const auto& gpu : m_.gpus) {
    const DeviceRef g{DeviceRef::Type::kGpu, gpu.index};
    for (const auto& node : m_.nodes) {
      const DeviceRef memory{DeviceRef::Type::kNode, number(node.id)};
      add(memory, g, measured_copy(*measured_, node.id, gpu.index, true));
      add(g, memory, measured_copy(*measured_, node.id, gpu.index, false));
    }
    for (const auto& peer : m_.gpus)
      if (peer.index != gpu.index) add(g, {DeviceRef::Type::kGpu, peer.index}, measured_copy_to(*measured_, gpu.index, peer.index));
  }
  return pairs;
}

void CapacityTable::add_notes(std::vector<std::string>& notes) const {
  if (!m_.cpu_model) notes.push_back("the CPU's model is unknown: so are the rates of its memory and of its socket interconnect");
  else if (!cpu_) notes.push_back(fmt::format("no published rates are known for {}", *m_.cpu_model));
  for (const auto& gpu : m_.gpus) {
    const auto* function = gpu.address ? find_pci(m_, *gpu.address) : nullptr;
    if (function == nullptr || !function->link || !function->link_max) continue;
    if (function->link->gt_per_s < function->link_max->gt_per_s)
      notes.push_back(fmt::format("GPU {}: the link is at {:g} GT/s now and can {:g}: taken for asleep; if it stays so under load, it is down-trained",
                                  gpu.index, function->link->gt_per_s, function->link_max->gt_per_s));
    if (function->link->width > 0 && function->link->width < function->link_max->width)
      notes.push_back(fmt::format("GPU {}: the link has {} of {} lanes", gpu.index, function->link->width, function->link_max->width));
  }
}

}  // namespace numapin
