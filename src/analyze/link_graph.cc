// A machine as a graph: memory, CPUs of nodes, sockets, the PCIe tree, NVLink, xGMI, C2C, NIC ports.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "analyze/capacity.h"
#include "numapin/analyze.h"

namespace numapin {
namespace {

using Kind = Part::Kind;

/// Distances below this are within a socket: NPS and SNC give 11 or 12, other sockets 20 and more.
constexpr int kOtherSocket = 18;

class Builder {
 public:
  Builder(const Machine& m, const Measured* measured) : m_(m), rates_(m, measured) {}

  LinkGraph build() {
    find_sockets();
    add_hosts();
    add_interconnect();
    add_memories();
    add_devices();
    add_gpu_links();
    add_c2c();
    g_.rules = rates_.rules();
    g_.measured = rates_.measured_pairs();
    rates_.add_notes(g_.notes);
    std::stable_sort(g_.edges.begin(), g_.edges.end(), [](const Edge& a, const Edge& b) { return a.from < b.from; });
    return std::move(g_);
  }

 private:
  int add_part(Kind kind, int index, std::string name) {
    g_.parts.push_back({kind, index, std::move(name)});
    return static_cast<int>(g_.parts.size()) - 1;
  }
  int add_channel(std::string name, std::string kind, LinkType type, Capacity capacity) {
    g_.channels.push_back({std::move(name), std::move(kind), type, std::move(capacity)});
    return static_cast<int>(g_.channels.size()) - 1;
  }
  void add_edge(int from, int to, int channel) { g_.edges.push_back({from, to, channel}); }
  const std::string& name_of(int part) const { return g_.parts[static_cast<std::size_t>(part)].name; }
  /// A link whose directions do not share anything.
  void add_duplex(int a, int b, const std::string& kind, LinkType type, const Capacity& there, const Capacity& back) {
    add_edge(a, b, add_channel(fmt::format("{}, {} to {}", kind, name_of(a), name_of(b)), kind, type, there));
    add_edge(b, a, add_channel(fmt::format("{}, {} to {}", kind, name_of(b), name_of(a)), kind, type, back));
  }
  void add_pcie(int below, int above, const CapacityTable::TwoWay& link) { add_duplex(below, above, link.kind, LinkType::kPcie, link.up, link.down); }
  void add_on_die(int a, int b) {
    const Capacity free{{}, Basis::kUnlimited, "on one die"};
    add_duplex(a, b, "on-die fabric", LinkType::kOnDie, free, free);
  }

  // ---- sockets and nodes ----
  void find_sockets();
  bool same_socket(const NumaNode& a, const NumaNode& b) const;
  void add_hosts();
  void add_interconnect();
  std::vector<std::pair<int, int>> direct_pairs() const;
  std::vector<std::vector<int>> socket_distances() const;
  void add_memories();
  int host_of_memory(const NumaNode& node) const;
  int only_host() const;

  // ---- devices ----
  void add_devices();
  struct Device {
    int part = 0;
    const PciDevice* function = nullptr;
    const Fact<NodeSet>* nodes = nullptr;
    const Gpu* gpu = nullptr;
    NodeSet near() const { return nodes != nullptr ? nodes->value_or({}) : NodeSet{}; }
  };
  void add_pci_device(const Device& d);
  int place(const Device& d);
  int unplaced();
  void count_children(const std::vector<Device>& devices);
  int share_function(const Device& d);
  bool is_fork(const PciDevice& bridge) const { return forks_.at(bridge.address).size() > 1; }
  void add_without_tree(const std::vector<Device>& devices);
  void add_port(const Nic& nic, int part);

  // ---- links between GPUs, and to their CPU ----
  void add_gpu_links();
  void add_switched(const std::vector<int>& gpus, std::optional<int> count);
  void add_c2c();

  const Machine& m_;
  CapacityTable rates_;
  LinkGraph g_;
  std::vector<int> socket_of_;                ///< by position in m_.nodes; -1: no CPUs
  int sockets_ = 0;
  std::map<int, int> node_part_;              ///< NodeId of nodes with CPUs -> part
  std::vector<int> socket_part_;
  std::map<int, int> gpu_part_, nic_part_;    ///< Gpu::index, Nic::index -> part
  std::map<PciAddress, std::set<PciAddress>> forks_;  ///< bridge -> what hangs right below it, on the way to our devices
  std::map<PciAddress, int> bridge_part_;
  std::map<PciAddress, int> users_, package_part_;    ///< PCI function -> how many GPUs and NICs it shows as; their package
  std::optional<int> unplaced_;
};

// ---- sockets and nodes -----------------------------------------------------------------------------------------------------

bool has_cpus(const NumaNode& node) { return node.cpus && !node.cpus->empty(); }

bool Builder::same_socket(const NumaNode& a, const NumaNode& b) const {
  if (!m_.packages.empty())
    return std::any_of(m_.packages.begin(), m_.packages.end(), [&](const Package& p) {
      return p.cpus.intersects(*a.cpus) && p.cpus.intersects(*b.cpus);
    });
  const auto between = distance(m_, a.id, b.id);
  return between && *between < kOtherSocket;
}

void Builder::find_sockets() {
  socket_of_.assign(m_.nodes.size(), -1);
  for (std::size_t i = 0; i < m_.nodes.size(); ++i) {
    if (!has_cpus(m_.nodes[i])) continue;
    for (std::size_t j = 0; j < i && socket_of_[i] < 0; ++j)
      if (socket_of_[j] >= 0 && same_socket(m_.nodes[i], m_.nodes[j])) socket_of_[i] = socket_of_[j];
    if (socket_of_[i] < 0) socket_of_[i] = sockets_++;
  }
}

/// A socket of one node is that node. A machine that names no node with CPUs is one host.
void Builder::add_hosts() {
  if (sockets_ == 0) {
    sockets_ = 1;
    socket_part_.push_back(add_part(Kind::kSocket, 0, "CPU"));
    return;
  }
  socket_part_.assign(static_cast<std::size_t>(sockets_), -1);
  for (int socket = 0; socket < sockets_; ++socket) {
    const auto nodes = std::count(socket_of_.begin(), socket_of_.end(), socket);
    if (nodes > 1) socket_part_[static_cast<std::size_t>(socket)] = add_part(Kind::kSocket, socket, fmt::format("socket {}", socket));
  }
  for (std::size_t i = 0; i < m_.nodes.size(); ++i) {
    if (socket_of_[i] < 0) continue;
    const int id = number(m_.nodes[i].id);
    const int part = add_part(Kind::kNode, id, fmt::format("node {}", id));
    node_part_[id] = part;
    auto& socket = socket_part_[static_cast<std::size_t>(socket_of_[i])];
    if (socket < 0) socket = part;
    else add_on_die(part, socket);
  }
}

/// Between each two sockets, that of their nearest nodes.
std::vector<std::vector<int>> Builder::socket_distances() const {
  constexpr int kUnknown = std::numeric_limits<int>::max();
  const auto count = static_cast<std::size_t>(sockets_);
  std::vector<std::vector<int>> out(count, std::vector<int>(count, kUnknown));
  for (std::size_t i = 0; i < m_.nodes.size(); ++i)
    for (std::size_t j = 0; j < m_.nodes.size(); ++j) {
      if (socket_of_[i] < 0 || socket_of_[j] < 0) continue;
      auto& nearest = out[static_cast<std::size_t>(socket_of_[i])][static_cast<std::size_t>(socket_of_[j])];
      nearest = std::min(nearest, distance(m_, m_.nodes[i].id, m_.nodes[j].id).value_or(kUnknown));
    }
  return out;
}

/// Two sockets are joined where no third is nearer to both: a full mesh where all are alike, a ring where they are not.
std::vector<std::pair<int, int>> Builder::direct_pairs() const {
  const auto d = socket_distances();
  std::vector<std::pair<int, int>> out;
  for (std::size_t a = 0; a < d.size(); ++a)
    for (std::size_t b = a + 1; b < d.size(); ++b) {
      bool direct = true;
      for (std::size_t c = 0; c < d.size() && direct; ++c) direct = c == a || c == b || std::max(d[a][c], d[c][b]) >= d[a][b];
      if (direct) out.emplace_back(static_cast<int>(a), static_cast<int>(b));
    }
  return out;
}

void Builder::add_interconnect() {
  const auto pairs = direct_pairs();
  std::vector<int> neighbours(static_cast<std::size_t>(sockets_), 0);
  for (const auto& [a, b] : pairs) ++neighbours[static_cast<std::size_t>(a)], ++neighbours[static_cast<std::size_t>(b)];
  for (const auto& [a, b] : pairs) {
    const auto from = static_cast<std::size_t>(a), to = static_cast<std::size_t>(b);
    const int most = std::max(neighbours[from], neighbours[to]);
    add_duplex(socket_part_[from], socket_part_[to], rates_.interconnect_name(), LinkType::kInterconnect,
               rates_.interconnect(a, b, most, socket_of_), rates_.interconnect(b, a, most, socket_of_));
  }
}

int Builder::only_host() const { return socket_part_.front(); }

/// Memory without CPUs hangs on its initiator, or on the nearest node with CPUs.
int Builder::host_of_memory(const NumaNode& node) const {
  if (const auto own = node_part_.find(number(node.id)); own != node_part_.end()) return own->second;
  if (node.access0)
    for (const auto id : node.access0->initiators)
      if (const auto found = node_part_.find(number(id)); found != node_part_.end()) return found->second;
  int nearest = std::numeric_limits<int>::max(), part = only_host();
  for (const auto& [id, host] : node_part_) {
    const auto d = distance(m_, NodeId{id}, node.id);
    if (d && *d < nearest) {
      nearest = *d;
      part = host;
    }
  }
  return part;
}

bool is_gpu_memory(const Machine& m, const NumaNode& node) {
  if (node.gpu || node.kind.value_or(MemoryKind::kDram) == MemoryKind::kGpu) return true;
  return std::any_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.memory_node && *g.memory_node == node.id; });
}

void Builder::add_memories() {
  for (std::size_t i = 0; i < m_.nodes.size(); ++i) {
    const auto& node = m_.nodes[i];
    // A GPU's own memory is the GPU; a node of no bytes is no place for data.
    if (is_gpu_memory(m_, node) || node.memory_total_bytes.value_or(1) == 0) continue;
    const int id = number(node.id);
    const int part = add_part(Kind::kMemory, id, fmt::format("memory of node {}", id));
    const auto mates = std::max<std::ptrdiff_t>(1, socket_of_[i] < 0 ? 1 : std::count(socket_of_.begin(), socket_of_.end(), socket_of_[i]));
    // Reading and writing share the wires of DRAM.
    const int channel = add_channel(fmt::format("memory of node {}", id), "memory", LinkType::kMemory, rates_.memory(node, static_cast<int>(mates), has_cpus(node)));
    const int host = host_of_memory(node);
    add_edge(host, part, channel);
    add_edge(part, host, channel);
  }
}

// ---- PCIe --------------------------------------------------------------------------------------------------------------------

int Builder::unplaced() {
  if (unplaced_) return *unplaced_;
  unplaced_ = add_part(Kind::kUnplaced, 0, "a node nobody tells");
  for (int socket = 0; socket < sockets_; ++socket) {
    const Capacity unknown{{}, Basis::kUnknown, "no source tells the node of these devices: traffic may cross the interconnect or not"};
    add_duplex(*unplaced_, socket_part_[static_cast<std::size_t>(socket)], "unknown way", LinkType::kInterconnect, unknown, unknown);
  }
  return *unplaced_;
}

/// What the device's root hangs on: its node, its socket where the device is near to several nodes of it, or nobody knows.
int Builder::place(const Device& d) {
  std::set<int> hosts, sockets;
  if (d.nodes && *d.nodes)
    for (const auto id : **d.nodes)
      for (std::size_t i = 0; i < m_.nodes.size(); ++i) {
        if (m_.nodes[i].id != id || socket_of_[i] < 0) continue;
        hosts.insert(node_part_.at(number(id)));
        sockets.insert(socket_of_[i]);
      }
  if (hosts.size() == 1) return *hosts.begin();
  if (sockets.size() == 1) return socket_part_[static_cast<std::size_t>(*sockets.begin())];
  return sockets_ == 1 ? only_host() : unplaced();
}

void Builder::count_children(const std::vector<Device>& devices) {
  for (const auto& d : devices) {
    ++users_[d.function->address];
    const PciDevice* below = d.function;
    for (const auto* bridge : upstream(m_, *d.function)) {
      forks_[bridge->address].insert(below->address);
      below = bridge;
    }
  }
}

/// The package, new or known, of a function that is several devices.
int Builder::share_function(const Device& d) {
  const auto address = d.function->address;
  if (!package_part_.contains(address))
    package_part_[address] = add_part(Kind::kPackage, static_cast<int>(package_part_.size()), "package " + address.to_string());
  add_on_die(d.part, package_part_[address]);
  return package_part_[address];
}

/// From the device up to the next bridge that others share, and so on to the root; bridges of one way are wire.
void Builder::add_pci_device(const Device& d) {
  const auto bridges = upstream(m_, *d.function);
  std::vector<const PciDevice*> wire{d.function};
  int below = d.part;
  const Gpu* gpu = d.gpu;
  if (users_.at(d.function->address) > 1) {
    const bool is_known = package_part_.contains(d.function->address);
    below = share_function(d);
    if (is_known) return;
  }
  for (const auto* bridge : bridges) {
    if (!is_fork(*bridge)) {
      wire.push_back(bridge);
      continue;
    }
    const bool is_new = !bridge_part_.contains(bridge->address);
    if (is_new) bridge_part_[bridge->address] = add_part(Kind::kPci, static_cast<int>(bridge_part_.size()), "switch " + bridge->address.to_string());
    const int part = bridge_part_[bridge->address];
    add_pcie(below, part, rates_.pcie(wire, gpu, {}));
    if (!is_new) return;  // the rest of the way is there
    below = part;
    wire = {bridge};
    gpu = nullptr;
  }
  add_pcie(below, place(d), rates_.pcie(wire, gpu, d.near()));
}

/// Tables without a PCIe tree still say who shares a switch.
void Builder::add_without_tree(const std::vector<Device>& devices) {
  std::vector<std::size_t> group(devices.size());
  std::iota(group.begin(), group.end(), 0);
  const auto ref = [&](const Device& d) {
    const auto& part = g_.parts[static_cast<std::size_t>(d.part)];
    return DeviceRef{part.kind == Kind::kGpu ? DeviceRef::Type::kGpu : DeviceRef::Type::kNic, part.index};
  };
  for (std::size_t i = 0; i < devices.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const auto* link = find_link(m_, ref(devices[i]), ref(devices[j]));
      if (link == nullptr || (link->kind != LinkKind::kPix && link->kind != LinkKind::kPxb)) continue;
      const auto old = group[i];
      for (auto& g : group)
        if (g == old) g = group[j];
    }
  std::map<std::size_t, int> switches;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const bool alone = std::count(group.begin(), group.end(), group[i]) == 1;
    const int host = place(devices[i]);
    int above = host;
    if (!alone) {
      if (!switches.contains(group[i])) {
        const auto number = static_cast<int>(bridge_part_.size() + switches.size());
        switches[group[i]] = add_part(Kind::kPci, number, fmt::format("switch of {}", name_of(devices[i].part)));
        const Capacity unknown{{}, Basis::kUnknown, "the table does not tell the switch's link to the CPU"};
        add_pcie(switches[group[i]], host, {"PCIe", unknown, unknown});
      }
      above = switches[group[i]];
    }
    add_pcie(devices[i].part, above, rates_.pcie({}, devices[i].gpu, devices[i].near()));
  }
}

void Builder::add_port(const Nic& nic, int part) {
  const int wire = add_part(Kind::kWire, nic.index, fmt::format("network of NIC {}", nic.index));
  const auto capacity = rates_.port(nic);
  const auto kind = capacity.gb_per_s ? fmt::format("port {:g} Gbit/s", *capacity.gb_per_s * 8) : std::string("port");
  add_duplex(part, wire, kind, LinkType::kPort, capacity, capacity);
}

template <class D>
const PciDevice* function_of(const Machine& m, const D& device) {
  return device.address ? find_pci(m, *device.address) : nullptr;
}

void Builder::add_devices() {
  std::vector<Device> in_tree, others;
  const auto sort_in = [&](const Device& d) { (d.function != nullptr ? in_tree : others).push_back(d); };
  for (const auto& gpu : m_.gpus) {
    gpu_part_[gpu.index] = add_part(Kind::kGpu, gpu.index, fmt::format("GPU {}", gpu.index));
    sort_in({gpu_part_[gpu.index], function_of(m_, gpu), &gpu.numa_nodes, &gpu});
  }
  for (const auto& nic : m_.nics) {
    const auto* function = function_of(m_, nic);
    if (function != nullptr && function->physfn) continue;
    nic_part_[nic.index] = add_part(Kind::kNic, nic.index, fmt::format("NIC {}", nic.index));
    sort_in({nic_part_[nic.index], function, &nic.numa_nodes, nullptr});
    add_port(nic, nic_part_[nic.index]);
  }
  count_children(in_tree);
  for (const auto& d : in_tree) add_pci_device(d);
  add_without_tree(others);
}

// ---- NVLink, xGMI, C2C -------------------------------------------------------------------------------------------------------

/// Without a switch no GPU is bound to more others (DGX-1's cube); bonds are not counted by every source.
constexpr std::size_t kMostPeersOfAMesh = 4;

/// GPUs that all reach each other with the same bond, which is more than their links could do one by one: an NVSwitch.
void Builder::add_switched(const std::vector<int>& gpus, std::optional<int> count) {
  const int hub = add_part(Kind::kNvSwitch, 0, "NVSwitch");
  for (const int index : gpus) {
    const int part = gpu_part_.at(index);
    const auto capacity = rates_.nvlink(index, index, count, 1);
    add_duplex(part, hub, count ? fmt::format("NV{}", *count) : "NV", LinkType::kNvlink, capacity, capacity);
  }
}

void Builder::add_gpu_links() {
  std::map<std::pair<int, int>, const Link*> pairs;
  std::map<int, std::set<int>> peers;
  for (const auto& link : m_.links) {
    if (link.from.type != DeviceRef::Type::kGpu || link.to.type != DeviceRef::Type::kGpu || link.from == link.to) continue;
    if (link.kind != LinkKind::kNvlink && link.kind != LinkKind::kXgmi) continue;
    // KFD's and rocm-smi's cost: 13 or 15 a hop; more is a way over another GPU.
    if (link.kind == LinkKind::kXgmi && link.weight.value_or(0) >= 26) continue;
    if (!gpu_part_.contains(link.from.index) || !gpu_part_.contains(link.to.index)) continue;
    pairs[{link.from.index, link.to.index}] = &link;
    if (link.kind == LinkKind::kNvlink) peers[link.from.index].insert(link.to.index);
  }
  std::set<int> switched;
  for (const auto& [gpu, others] : peers) {
    if (switched.contains(gpu)) continue;
    auto group = others;
    group.insert(gpu);
    const std::optional<int> count = pairs.at({gpu, *others.begin()})->count;
    const bool alike = std::all_of(group.begin(), group.end(), [&](int g) {
      auto with_self = peers.contains(g) ? peers.at(g) : std::set<int>{};
      with_self.insert(g);
      return with_self == group && std::all_of(group.begin(), group.end(), [&](int h) {
        return g == h || pairs.at({g, h})->count == count;
      });
    });
    const bool too_many = count ? *count * static_cast<int>(others.size()) > rates_.nvlinks_of(gpu) : others.size() > kMostPeersOfAMesh;
    if (!alike || !too_many) continue;
    add_switched({group.begin(), group.end()}, count);
    switched.insert(group.begin(), group.end());
  }
  for (const auto& [key, link] : pairs) {
    const auto [a, b] = key;
    if (a > b || (switched.contains(a) && switched.contains(b))) continue;
    const auto bonds = [&](int gpu) { return static_cast<int>(peers.contains(gpu) ? peers.at(gpu).size() : 1); };
    const bool nvlink = link->kind == LinkKind::kNvlink;
    const auto there = nvlink ? rates_.nvlink(a, b, link->count, bonds(a)) : rates_.xgmi(a, b, link->count);
    const auto back = nvlink ? rates_.nvlink(b, a, link->count, bonds(b)) : rates_.xgmi(b, a, link->count);
    add_duplex(gpu_part_.at(a), gpu_part_.at(b), to_string(*link), link->kind == LinkKind::kNvlink ? LinkType::kNvlink : LinkType::kXgmi, there, back);
  }
}

/// Told by a source, or a GPU whose memory is a node of the CPU's, with the CPU that its kind comes with.
void Builder::add_c2c() {
  std::set<std::pair<int, int>> ends;  // GPU, host part
  for (const auto& link : m_.links) {
    if (link.kind != LinkKind::kC2c) continue;
    const auto& gpu = link.from.type == DeviceRef::Type::kGpu ? link.from : link.to;
    const auto& node = link.from.type == DeviceRef::Type::kNode ? link.from : link.to;
    if (gpu.type != DeviceRef::Type::kGpu || node.type != DeviceRef::Type::kNode) continue;
    if (gpu_part_.contains(gpu.index) && node_part_.contains(node.index)) ends.insert({gpu.index, node_part_.at(node.index)});
  }
  for (const auto& gpu : m_.gpus) {
    const bool known = std::any_of(ends.begin(), ends.end(), [&](const auto& e) { return e.first == gpu.index; });
    if (!known && rates_.has_c2c(gpu)) ends.insert({gpu.index, place({gpu_part_.at(gpu.index), nullptr, &gpu.numa_nodes, &gpu})});
  }
  for (const auto& [gpu, host] : ends) {
    const auto c2c = rates_.c2c(gpu);
    add_duplex(gpu_part_.at(gpu), host, c2c.kind, LinkType::kC2c, c2c.up, c2c.down);
  }
}

}  // namespace

LinkGraph make_link_graph(const Machine& m, const Measured* measured) { return Builder(m, measured).build(); }

}  // namespace numapin
