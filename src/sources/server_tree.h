// For tests: the files of a server with GPUs, as a current kernel shows them.
#pragma once

#include <fmt/format.h>

#include <string>

#include "numapin/file_tree.h"
#include "numapin/id_set.h"

namespace numapin::test {

struct ServerShape {
  int cpus_per_node = 128;        ///< two threads a core; the second ones are numbered after all first ones
  int nodes = 2;
  int gpus = 8;                   ///< dealt out over the nodes in order
  bool amd = false;               ///< MI300X with KFD; else H100 with NVIDIA's driver
  int partitions = 1;             ///< of each AMD GPU
  bool numa_node_known = true;    ///< false: -1, as in many VMs
  bool has_proc_bus_pci = true;
};

class ServerTree {
 public:
  explicit ServerTree(const ServerShape& shape) : shape_(shape) {
    add_cpus();
    add_nodes();
    add_status(fmt::format("0-{}", total_cpus() - 1), fmt::format("0-{}", shape.nodes - 1));
    for (int i = 0; i < shape.gpus; ++i) add_gpu(i);
    for (int i = 0; i < shape.nodes; ++i) add_others(i);
    if (shape.has_proc_bus_pci) tree.add_file("/proc/bus/pci/devices", proc_bus_pci_);
  }

  MapTree tree;

  int total_cpus() const { return shape_.cpus_per_node * shape_.nodes; }
  CpuSet node_cpus(int node) const {
    const int cores = shape_.cpus_per_node / 2, all_cores = cores * shape_.nodes;
    return CpuSet::range(node * cores, (node + 1) * cores - 1) |
           CpuSet::range(all_cores + node * cores, all_cores + (node + 1) * cores - 1);
  }
  int node_of_gpu(int gpu) const { return gpu * shape_.nodes / shape_.gpus; }
  std::string gpu_address(int gpu) const { return fmt::format("0000:{:02x}:00.0", 0x10 + gpu * 0x10 + 2); }
  void add_status(const std::string& cpus, const std::string& mems) {
    tree.add_file("/proc/self/status", fmt::format("Name:\tx\nCpus_allowed_list:\t{}\nMems_allowed_list:\t{}\n", cpus, mems));
    tree.add_file("/proc/self/cgroup", "0::/user.slice\n");
  }

 private:
  void add_cpus() {
    const std::string dir = "/sys/devices/system/cpu";
    tree.add_file(dir + "/online", fmt::format("0-{}\n", total_cpus() - 1));
    tree.add_file(dir + "/present", fmt::format("0-{}\n", total_cpus() - 1));
    const int cores = total_cpus() / 2;
    for (int cpu = 0; cpu < total_cpus(); ++cpu) {
      const auto topology = fmt::format("{}/cpu{}/topology", dir, cpu);
      const int core = cpu % cores, node = core / (shape_.cpus_per_node / 2);
      tree.add_file(topology + "/thread_siblings_list", fmt::format("{},{}\n", core, core + cores));
      tree.add_file(topology + "/physical_package_id", fmt::format("{}\n", node));
      const auto cache = fmt::format("{}/cpu{}/cache/index3", dir, cpu);
      const int l3 = core / 8 * 8;
      tree.add_file(cache + "/level", "3\n");
      tree.add_file(cache + "/type", "Unified\n");
      tree.add_file(cache + "/size", "32768K\n");
      tree.add_file(cache + "/shared_cpu_list", fmt::format("{}-{},{}-{}\n", l3, l3 + 7, l3 + cores, l3 + 7 + cores));
    }
  }

  void add_nodes() {
    const std::string dir = "/sys/devices/system/node";
    const auto all = fmt::format("0-{}\n", shape_.nodes - 1);
    tree.add_file(dir + "/online", all);
    for (int node = 0; node < shape_.nodes; ++node) {
      const auto here = fmt::format("{}/node{}", dir, node);
      tree.add_file(here + "/cpulist", node_cpus(node).to_list() + "\n");
      tree.add_file(here + "/meminfo", fmt::format("Node {0} MemTotal:       1056777216 kB\nNode {0} MemFree:        900000000 kB\n", node));
      std::string distance;
      for (int to = 0; to < shape_.nodes; ++to) distance += to == node ? "10 " : "32 ";
      tree.add_file(here + "/distance", distance + "\n");
    }
  }

  void add_device(const std::string& path, const std::string& address, const std::string& code, const std::string& vendor,
                  const std::string& device, int node, std::uint64_t bar, const std::string& driver) {
    const auto dir = path + "/" + address;
    tree.add_file(dir + "/class", "0x" + code + "\n");
    tree.add_file(dir + "/vendor", "0x" + vendor + "\n");
    tree.add_file(dir + "/device", "0x" + device + "\n");
    tree.add_file(dir + "/numa_node", fmt::format("{}\n", shape_.numa_node_known ? node : -1));
    tree.add_file(dir + "/local_cpulist",
                  (shape_.numa_node_known ? node_cpus(node) : CpuSet::range(0, total_cpus() - 1)).to_list() + "\n");
    tree.add_file(dir + "/current_link_speed", "32.0 GT/s PCIe\n");
    tree.add_file(dir + "/current_link_width", "16\n");
    tree.add_file(dir + "/max_link_speed", "32.0 GT/s PCIe\n");
    tree.add_file(dir + "/max_link_width", "16\n");
    if (!driver.empty()) tree.add_link(dir + "/driver", "/sys/bus/pci/drivers/" + driver);
    tree.add_link("/sys/bus/pci/devices/" + address, dir);
    const auto bus = std::stoi(address.substr(5, 2), nullptr, 16), slot = std::stoi(address.substr(8, 2), nullptr, 16);
    proc_bus_pci_ += fmt::format("{:02x}{:02x}\t{}{}\t0", bus, slot << 3, vendor, device);
    for (int i = 0; i < 7; ++i) proc_bus_pci_ += "\t               0";
    for (int i = 0; i < 7; ++i) proc_bus_pci_ += fmt::format("\t{:16x}", i == 0 ? bar : 0);
    proc_bus_pci_ += "\t" + driver + "\n";
  }

  void add_gpu(int i) {
    const int bus = 0x10 + i * 0x10, node = node_of_gpu(i);
    const auto root = fmt::format("/sys/devices/pci0000:{:02x}", bus);
    const auto port = fmt::format("0000:{:02x}:01.0", bus);
    add_device(root, port, "060400", "8086", "352a", node, 0, "pcieport");
    const auto below = root + "/" + port;
    if (shape_.amd) add_device(below, gpu_address(i), "120000", "1002", "74a1", node, std::uint64_t{256} << 30, "amdgpu");
    else add_device(below, gpu_address(i), "030200", "10de", "2330", node, std::uint64_t{128} << 30, "nvidia");
    if (shape_.amd) return add_kfd(i, bus);
    tree.add_file("/proc/driver/nvidia/gpus/" + gpu_address(i) + "/information",
                  fmt::format("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 300\nGPU UUID: \t GPU-{0:08x}-0000-0000-0000-00000000000{0:x}\n"
                              "Bus Location: \t {1}\nDevice Minor: \t {0}\n", i, gpu_address(i)));
  }

  void add_kfd(int i, int bus) {
    const std::string nodes = "/sys/class/kfd/kfd/topology/nodes";
    for (int node = 0; node < shape_.nodes; ++node)
      tree.add_file(fmt::format("{}/{}/properties", nodes, node), fmt::format("cpu_cores_count {}\nsimd_count 0\n", shape_.cpus_per_node));
    for (int p = 0; p < shape_.partitions; ++p) {
      const auto dir = fmt::format("{}/{}", nodes, shape_.nodes + i * shape_.partitions + p);
      tree.add_file(dir + "/properties",
                    fmt::format("cpu_cores_count 0\nsimd_count 1216\nvendor_id 4098\ndevice_id 29857\nlocation_id {}\ndomain 0\n"
                                "drm_render_minor {}\nunique_id {}\n", (bus + 2) << 8 | p, 128 + i * shape_.partitions + p, 1000 + i));
      tree.add_file(dir + "/io_links/0/properties", fmt::format("type 2\nnode_to {}\nweight 20\n", node_of_gpu(i)));
    }
  }

  /// What else is in such a server: NICs with large windows, drives, and dozens of system devices with none.
  void add_others(int node) {
    const int bus = 0x90 + node * 0x0d;
    const auto root = fmt::format("/sys/devices/pci0000:{:02x}", bus);
    for (int i = 0; i < 4; ++i)
      add_device(root, fmt::format("0000:{:02x}:00.0", bus + 1 + i), "020700", "15b3", "1021", node, 32 << 20, "mlx5_core");
    for (int i = 0; i < 4; ++i)
      add_device(root, fmt::format("0000:{:02x}:00.0", bus + 5 + i), "010802", "144d", "a80a", node, 32 << 10, "nvme");
    for (int i = 0; i < 30; ++i)
      add_device(root, fmt::format("0000:{:02x}:{:02x}.0", bus, 1 + i), "088000", "8086", "3258", node, 0, "");
    if (node == 0) add_device(root, fmt::format("0000:{:02x}:00.0", bus + 0x0b), "030000", "1a03", "2000", node, 64 << 20, "ast");
  }

  ServerShape shape_;
  std::string proc_bus_pci_;
};

}  // namespace numapin::test
