// A machine as NCCL_TOPO_FILE takes it (format: nccl/src/graph/xml.cc). NCCL fills in from the system what the file leaves
// out, so what we do not know stays out. NCCL's parser has no entities and wants one blank between attributes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr std::size_t kLongestValue = 254;          // NCCL's MAX_STR_LEN, with its zero
constexpr std::string_view kSwitchClass = "0x068000";
constexpr std::string_view kSwitchTarget = "fffffff:ff:ff.0";  // what NCCL writes where the switches' addresses are hidden

struct Home {
  std::optional<NodeId> node;
  CpuSet cpus;
  auto key() const { return std::pair(node ? number(*node) : kMaxIds, cpus.to_list()); }  // NCCL puts -1 last
};

class Writer {
 public:
  Writer(const Machine& m, const LinkGraph& g) : m_(m), g_(g) { find_tree(); }

  std::string write() {
    open("system", " version=\"1\"");
    for (const auto& home : homes()) write_cpu(home);
    close("system");
    return std::move(text_);
  }

 private:
  // ---- what stands below what ----
  bool is_from_nccl(const PciDevice& d) const { return d.numa_node.source == Source::kNcclXml || d.link_max.source == Source::kNcclXml || d.local_cpus.source == Source::kNcclXml; }
  bool has_device(const PciDevice& d) const { return gpu_at(d.address) != nullptr || !nics_at(d.address).empty(); }
  const Gpu* gpu_at(const PciAddress& a) const { return find_gpu(m_, a); }
  std::vector<const Nic*> nics_at(const PciAddress& a) const {
    std::vector<const Nic*> nics;
    for (const auto& nic : m_.nics)
      if (nic.address && *nic.address == a) nics.push_back(&nic);
    return nics;
  }
  /// NCCL shows a switch as one element, its upstream port; root and downstream ports are left out.
  const PciDevice* above(const PciDevice& d) const {
    const auto bridges = upstream(m_, d);
    if (is_from_nccl(d)) return bridges.empty() ? nullptr : bridges.front();
    return bridges.size() > 1 ? bridges[1] : nullptr;
  }
  void find_tree() {
    for (const auto& d : m_.pci) {
      if (d.physfn || !(has_device(d) || is_from_nccl(d))) continue;
      for (const auto* at = &d; at != nullptr && written_.insert(at->address).second; at = above(*at)) {
        const auto* parent = above(*at);
        if (parent != nullptr) children_[parent->address].push_back(at);
        else roots_.push_back(at);
      }
    }
    const auto by_address = [](const PciDevice* a, const PciDevice* b) { return a->address < b->address; };
    for (auto& [parent, list] : children_) std::sort(list.begin(), list.end(), by_address);
    std::sort(roots_.begin(), roots_.end(), by_address);
  }

  // ---- CPUs ----
  Home home_of(const std::optional<NodeId>& node, const Fact<CpuSet>& cpus) const {
    Home home{node, {}};
    const auto* found = node ? find_node(m_, *node) : nullptr;
    if (found != nullptr && found->cpus) home.cpus = *found->cpus;
    else if (!node) home.cpus = cpus.value_or({});
    return home;
  }
  template <class Device>
  static std::optional<NodeId> one_node(const Device& d) {
    return d.numa_nodes && d.numa_nodes->size() == 1 ? std::optional(d.numa_nodes->first()) : std::nullopt;
  }
  /// The kernel's node of a root's device, or the one that was found for the GPU or NIC below it.
  Home home_of(const PciDevice& root) const {
    if (root.numa_node) return home_of(*root.numa_node, root.local_cpus);
    std::optional<NodeId> node;
    const auto look = [&](const PciDevice& d, const auto& self) -> void {
      if (const auto* gpu = gpu_at(d.address); gpu != nullptr && !node) node = one_node(*gpu);
      for (const auto* nic : nics_at(d.address))
        if (!node) node = one_node(*nic);
      if (const auto found = children_.find(d.address); found != children_.end())
        for (const auto* child : found->second) self(*child, self);
    };
    look(root, look);
    return home_of(node, root.local_cpus);
  }
  Home home_of(const Nic& nic) const { return home_of(one_node(nic), nic.local_cpus); }
  std::vector<Home> homes() const {
    std::map<std::pair<int, std::string>, Home> homes;
    const auto add = [&](const Home& home) { homes.emplace(home.key(), home); };
    for (const auto& node : m_.nodes)
      if (node.cpus && !node.cpus->empty()) add(home_of(node.id, {}));
    for (const auto* root : roots_) add(home_of(*root));
    for (const auto& nic : m_.nics)
      if (!nic.address) add(home_of(nic));
    std::vector<Home> list;
    for (const auto& [key, home] : homes) list.push_back(home);
    return list;
  }

  // ---- elements ----
  void line(std::string_view rest) { text_ += fmt::format("{:{}}{}\n", "", depth_ * 2, rest); }
  void open(std::string_view name, std::string_view attributes) {
    line(fmt::format("<{}{}>", name, attributes));
    ++depth_;
  }
  void close(std::string_view name) {
    --depth_;
    line(fmt::format("</{}>", name));
  }
  /// Quotes and angle brackets are left out: NCCL's parser knows no entities.
  static std::string attribute(std::string_view key, std::string_view value) {
    std::string clean;
    for (const char c : value)
      if (c != '"' && c != '<' && c != '>' && c != '&' && static_cast<unsigned char>(c) >= 0x20) clean += c;
    return fmt::format(" {}=\"{}\"", key, clean.substr(0, kLongestValue));
  }
  void write_cpu(const Home& home) {
    auto attributes = attribute("numaid", std::to_string(home.node ? number(*home.node) : -1));
    if (const auto affinity = home.cpus.to_mask(); !home.cpus.empty() && affinity.size() <= kLongestValue) attributes += attribute("affinity", affinity);
    if (m_.architecture) attributes += attribute("arch", *m_.architecture);
    if (m_.cpu_model && m_.cpu_model->find("Intel") != std::string::npos) attributes += attribute("vendor", "GenuineIntel");
    if (m_.cpu_model && m_.cpu_model->find("AMD") != std::string::npos) attributes += attribute("vendor", "AuthenticAMD");
    open("cpu", attributes);
    for (const auto* root : roots_)
      if (home_of(*root).key() == home.key()) write_pci(*root);
    for (const auto& nic : m_.nics)
      if (!nic.address && home_of(nic).key() == home.key()) write_nic({&nic});
    close("cpu");
  }

  std::string link_attributes(const PciDevice& d) const {
    // NCCL reads max_link_speed and max_link_width for these.
    const auto& link = d.link_max ? d.link_max : d.link;
    if (!link) return "";
    int width = link->width;
    if (const auto* gpu = gpu_at(d.address)) width = measured_width(*gpu, *link).value_or(width);
    return attribute("link_speed", link->gt_per_s < 10 && link->gt_per_s != std::floor(link->gt_per_s) ? fmt::format("{:g} GT/s PCIe", link->gt_per_s)
                                                                                                    : fmt::format("{:.1f} GT/s PCIe", link->gt_per_s)) +
           attribute("link_width", std::to_string(width));
  }
  /// NCCL counts 0.75, 1.5, 3 GB/s a lane for 8, 16, 32 GT/s (kvDictPciGen): as many lanes as give what was measured.
  std::optional<int> measured_width(const Gpu& gpu, const PciLink& link) const {
    std::optional<double> least;
    for (const auto& e : g_.edges) {
      const auto& channel = g_.channels[static_cast<std::size_t>(e.channel)];
      const auto is_this = [&](int part) {
        const auto& p = g_.parts[static_cast<std::size_t>(part)];
        return p.kind == Part::Kind::kGpu && p.index == gpu.index;
      };
      if (channel.type != LinkType::kPcie || channel.capacity.basis != Basis::kMeasured || !(is_this(e.from) || is_this(e.to))) continue;
      least = std::min(least.value_or(*channel.capacity.gb_per_s), *channel.capacity.gb_per_s);
    }
    if (!least) return std::nullopt;
    return std::max(1, static_cast<int>(std::lround(*least / (link.gt_per_s * 0.75 / 8))));
  }

  void write_pci(const PciDevice& d) {
    auto attributes = attribute("busid", d.address.to_string());
    if (d.class_code != 0) attributes += attribute("class", fmt::format("0x{:06x}", d.class_code));
    if (d.vendor != 0) attributes += attribute("vendor", fmt::format("0x{:04x}", d.vendor));
    if (d.device != 0) attributes += attribute("device", fmt::format("0x{:04x}", d.device));
    open("pci", attributes + link_attributes(d));
    if (const auto* gpu = gpu_at(d.address)) write_gpu(*gpu);
    if (const auto nics = nics_at(d.address); !nics.empty()) write_nic(nics);
    if (const auto found = children_.find(d.address); found != children_.end())
      for (const auto* child : found->second) write_pci(*child);
    close("pci");
  }

  void write_gpu(const Gpu& gpu) {
    open("gpu", gpu.nvml_index ? attribute("dev", std::to_string(*gpu.nvml_index)) : "");
    for (const auto& e : g_.edges) {
      const auto& from = g_.parts[static_cast<std::size_t>(e.from)];
      const auto& to = g_.parts[static_cast<std::size_t>(e.to)];
      if (from.kind != Part::Kind::kGpu || from.index != gpu.index) continue;
      write_link(g_.channels[static_cast<std::size_t>(e.channel)], gpu, to);
    }
    close("gpu");
  }
  void write_link(const Channel& channel, const Gpu& gpu, const Part& to) {
    if (channel.type == LinkType::kC2c && channel.capacity.gb_per_s)
      return line("<c2c" + attribute("bw", std::to_string(std::lround(*channel.capacity.gb_per_s * 1000))) + attribute("count", "1") + "/>");
    if (to.kind == Part::Kind::kNvSwitch) return write_switched(gpu, to);
    const bool is_nvlink = channel.type == LinkType::kNvlink;
    if (to.kind != Part::Kind::kGpu || (!is_nvlink && channel.type != LinkType::kXgmi)) return;
    const auto* link = find_link(m_, {DeviceRef::Type::kGpu, gpu.index}, {DeviceRef::Type::kGpu, to.index});
    if (link != nullptr) write_peer(is_nvlink ? "<nvlink" : "<xgmi", to.index, link->count.value_or(1));
  }
  void write_peer(std::string_view element, int peer_index, int count) {
    const auto peer = std::find_if(m_.gpus.begin(), m_.gpus.end(), [&](const Gpu& x) { return x.index == peer_index; });
    if (peer == m_.gpus.end() || !peer->address) return;
    const auto* function = find_pci(m_, *peer->address);
    line(std::string(element) + attribute("target", peer->address->to_string()) + attribute("count", std::to_string(count)) +
         attribute("tclass", fmt::format("0x{:06x}", function != nullptr && function->class_code != 0 ? function->class_code : 0x030200)) + "/>");
  }
  /// NCCL takes all NVSwitches for one. GPUs in several groups are written as meshes of what each pair's share is.
  void write_switched(const Gpu& gpu, const Part& hub) {
    std::vector<int> peers;
    int hubs = 0;
    for (const auto& part : g_.parts) hubs += part.kind == Part::Kind::kNvSwitch;
    for (const auto& e : g_.edges)
      if (&g_.parts[static_cast<std::size_t>(e.from)] == &hub && g_.parts[static_cast<std::size_t>(e.to)].index != gpu.index)
        peers.push_back(g_.parts[static_cast<std::size_t>(e.to)].index);
    const auto* link = peers.empty() ? nullptr : find_link(m_, {DeviceRef::Type::kGpu, gpu.index}, {DeviceRef::Type::kGpu, peers.front()});
    const int count = link != nullptr ? link->count.value_or(1) : 1;
    if (hubs == 1) return line("<nvlink" + attribute("target", kSwitchTarget) + attribute("count", std::to_string(count)) + attribute("tclass", kSwitchClass) + "/>");
    for (const int peer : peers) write_peer("<nvlink", peer, std::max(1, count / static_cast<int>(peers.size())));
  }

  void write_nic(const std::vector<const Nic*>& nics) {
    open("nic", "");
    for (const auto* nic : nics) {
      // A port nobody knows anything of: NCCL's network plugin will say it.
      if (nic->name.empty() && !nic->speed_mb_per_s) continue;
      std::string attributes;
      if (!nic->name.empty()) attributes += attribute("name", nic->name);
      if (nic->speed_mb_per_s) attributes += attribute("speed", std::to_string(*nic->speed_mb_per_s));
      line("<net" + attributes + "/>");
    }
    close("nic");
  }

  const Machine& m_;
  const LinkGraph& g_;
  std::set<PciAddress> written_;
  std::map<PciAddress, std::vector<const PciDevice*>> children_;
  std::vector<const PciDevice*> roots_;
  std::string text_;
  int depth_ = 0;
};

}  // namespace

std::string nccl_topology_xml(const Machine& m, const LinkGraph& g) { return Writer(m, g).write(); }

}  // namespace numapin
