#include "cli/numactl_facts.h"

#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"
#include "os/device_node.h"
#include "plan/numactl_spec.h"

namespace numapin::cli {
namespace {

// ---- live -----------------------------------------------------------------------------------------------------------

template <class Set>
Result<Set> read_set(const FileTree& tree, const std::string& path) {
  NUMAPIN_TRY(const auto text, tree.read(path));
  return Set::parse(text);
}

/// One list of /proc/self/status: "Mems_allowed_list:\t0-1".
template <class Set>
Result<Set> read_status(const FileTree& tree, std::string_view name) {
  NUMAPIN_TRY(const auto text, tree.read("/proc/self/status"));
  for (const auto line : split_lines(text)) {
    if (line.starts_with(name)) return Set::parse(line.substr(name.size()));
  }
  return fail(Error::Kind::kUnsupported, fmt::format("read /proc/self/status: no line {}", name));
}

class LiveFacts final : public NumactlFacts {
 public:
  LiveFacts(const FileTree& tree, Kernel& kernel) : tree_(tree), kernel_(kernel) {}

  Result<CpuSet> allowed_cpus() const override {
    CpuSet cpus;
    if (kernel_.get_affinity(0, cpus) == 0) return cpus;
    return read_status<CpuSet>(tree_, "Cpus_allowed_list:");
  }
  Result<CpuSet> online_cpus() const override { return read_set<CpuSet>(tree_, "/sys/devices/system/cpu/online"); }
  Result<CpuSet> offline_cpus() const override {
    NUMAPIN_TRY(const auto present, read_set<CpuSet>(tree_, "/sys/devices/system/cpu/present"));
    NUMAPIN_TRY(const auto online, online_cpus());
    return present - online;
  }
  Result<NodeSet> allowed_nodes() const override {
    NodeSet nodes;
    // Where seccomp refuses get_mempolicy, the same is in /proc.
    if (kernel_.get_allowed_nodes(nodes) == 0) return nodes;
    return read_status<NodeSet>(tree_, "Mems_allowed_list:");
  }
  Result<NodeSet> online_nodes() const override { return read_set<NodeSet>(tree_, "/sys/devices/system/node/online"); }
  Result<NodeSet> memory_nodes() const override {
    return read_set<NodeSet>(tree_, "/sys/devices/system/node/has_memory");
  }
  Result<CpuSet> cpus_of_node(NodeId node) const override {
    return read_set<CpuSet>(tree_, fmt::format("/sys/devices/system/node/node{}/cpulist", number(node)));
  }
  Result<CpuSet> siblings(CpuId cpu) const override {
    return read_set<CpuSet>(tree_,
                            fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", number(cpu)));
  }
  Result<NodeSet> device_nodes(std::string_view spec) const override { return numapin::device_nodes(spec, tree_); }

 private:
  const FileTree& tree_;
  Kernel& kernel_;
};

// ---- recorded -------------------------------------------------------------------------------------------------------

template <class Device>
bool has_name(const Device& device, std::string_view name) {
  if constexpr (requires { device.interfaces; }) {
    for (const auto& interface : device.interfaces) {
      if (interface == name) return true;
    }
  }
  return device.name == name;
}

template <class Device>
Result<NodeSet> nodes_of_named(const std::vector<Device>& devices, std::string_view spec) {
  const auto name = trim(spec.substr(spec.find(':') + 1));
  for (const auto& device : devices) {
    // A namespace or partition ("nvme0n1p2") is its controller's.
    const bool part = !device.name.empty() && name.starts_with(device.name + 'n');
    if (!has_name(device, name) && !part) continue;
    if (device.numa_nodes) return *device.numa_nodes;
    return fail(Error::Kind::kUnsupported, fmt::format("find the node of {}: it is not known", spec));
  }
  return fail(Error::Kind::kNotFound, fmt::format("find {}: no such device on this machine", spec));
}

class RecordedFacts final : public NumactlFacts {
 public:
  explicit RecordedFacts(const System& system) : machine_(system.machine), allowance_(system.allowance) {}

  Result<CpuSet> allowed_cpus() const override {
    const auto online = numapin::online_cpus(machine_);
    return allowance_.cpus ? *allowance_.cpus & online : online;
  }
  Result<CpuSet> online_cpus() const override { return numapin::online_cpus(machine_); }
  Result<CpuSet> offline_cpus() const override { return machine_.offline.value_or({}); }
  Result<NodeSet> allowed_nodes() const override {
    const auto nodes = numapin::memory_nodes(machine_);
    return allowance_.mems ? *allowance_.mems & nodes : nodes;
  }
  Result<NodeSet> online_nodes() const override {
    NodeSet nodes;
    for (const auto& node : machine_.nodes) nodes.insert(node.id);
    return nodes;
  }
  Result<NodeSet> memory_nodes() const override { return numapin::memory_nodes(machine_); }
  Result<CpuSet> cpus_of_node(NodeId node) const override {
    const auto* found = find_node(machine_, node);
    if (found == nullptr) return fail(Error::Kind::kNotFound, fmt::format("find node {}: no such node", number(node)));
    return found->cpus.value_or({});
  }
  Result<CpuSet> siblings(CpuId cpu) const override {
    for (const auto& core : machine_.cores) {
      if (core.cpus.contains(cpu)) return core.cpus;
    }
    return CpuSet::of(cpu);
  }
  Result<NodeSet> device_nodes(std::string_view spec) const override {
    if (spec.starts_with("pci:")) return nodes_of_pci(spec);
    if (spec.starts_with("netdev:")) return nodes_of_named(machine_.nics, spec);
    if (spec.starts_with("block:")) return nodes_of_named(machine_.nvme, spec);
    return fail(Error::Kind::kUnsupported, fmt::format("find {}: a recorded machine cannot be asked", spec),
                "give the node by number");
  }

 private:
  Result<NodeSet> nodes_of_pci(std::string_view spec) const {
    const auto address = parse_pci_spec(spec);
    if (!address) return bad_input(fmt::format("read {}: not a PCI address", spec), "write pci:0000:18:00.0");
    if (const auto* gpu = find_gpu(machine_, *address); gpu != nullptr && gpu->numa_nodes) return *gpu->numa_nodes;
    const auto* device = find_pci(machine_, *address);
    if (device == nullptr) {
      return fail(Error::Kind::kNotFound, fmt::format("find {}: no such device on this machine", spec));
    }
    if (device->numa_node) return NodeSet::of(*device->numa_node);
    return fail(Error::Kind::kUnsupported, fmt::format("find the node of {}: it is not known", spec));
  }

  const Machine& machine_;
  const Allowance& allowance_;
};

}  // namespace

std::unique_ptr<NumactlFacts> live_facts(const FileTree& tree, Kernel& kernel) {
  return std::make_unique<LiveFacts>(tree, kernel);
}
std::unique_ptr<NumactlFacts> recorded_facts(const System& system) { return std::make_unique<RecordedFacts>(system); }

}  // namespace numapin::cli
