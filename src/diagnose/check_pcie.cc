// Links: what a GPU's way to memory, to its peers and to the network is worth.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/units.h"
#include "diagnose/measured.h"
#include "diagnose/result.h"
#include "machine/made_up_link.h"

namespace numapin::doctor {
namespace {

// ---- width and speed ------------------------------------------------------------------------------------------------

/// Ports that a hypervisor makes up: their speed and width mean nothing.
bool is_virtual_port(const PciDevice& d) {
  constexpr std::uint16_t kRedHat = 0x1b36, kVmware = 0x15ad, kVirtualBox = 0x80ee, kIoh3420 = 0x3420;
  return d.vendor == kRedHat || d.vendor == kVmware || d.vendor == kVirtualBox || (d.vendor == kIntel && d.device == kIoh3420);
}

struct Hop {
  PciAddress at;
  PciLink now, most;
};

/// The device's own link (Intel's GPUs: that of their card) and those of the bridges above it, where both ends of the scale
/// are known.
std::vector<Hop> hops(const Machine& m, const PciDevice& device) {
  std::vector<const PciDevice*> way = {&device};
  for (const auto* bridge : upstream(m, device)) way.push_back(bridge);
  way.erase(way.begin(), std::find_if(way.begin(), way.end(), [](const auto* d) { return !has_made_up_link(*d); }));
  std::vector<Hop> out;
  for (const auto* d : way)
    if (d->link && d->link_max && d->link->width > 0 && !is_virtual_port(*d)) out.push_back({d->address, *d->link, *d->link_max});
  return out;
}

Finding narrow_link(int gpu, const Hop& own, const Hop& narrowest, int slot, bool in_guest) {
  const bool by_slot = slot <= narrowest.now.width;
  return {in_guest ? Severity::kNote : Severity::kWarning,
          fmt::format("GPU {}", gpu),
          fmt::format("x{} of x{} lanes, at {}{}", narrowest.now.width, own.most.width, narrowest.at.to_string(),
                      by_slot ? ": the slot has no more" : ""),
          fmt::format("x{}: {:.1f} instead of {:.1f} GB/s each way at {} GT/s", own.most.width,
                      PciLink{own.most.gt_per_s, own.most.width}.gb_per_s(),
                      PciLink{own.most.gt_per_s, narrowest.now.width}.gb_per_s(), own.most.gt_per_s),
          in_guest  ? ""
          : by_slot ? "# another slot, or bifurcation in the firmware; measure under load to see what it costs"
                    : "# measure under load; then reseat the card or riser, and look for PCIe errors in the kernel's log (dmesg "
                      "| grep -i pcie)",
          ""};
}

/// What was measured under load says more than the speed of an idle link. Of a GPU the worse direction; "" where nothing was
/// measured, else what can be said when nothing was found.
std::string judge_measured(const std::optional<Measured>& measured, std::vector<Finding>& found) {
  if (!measured) return "";
  std::map<int, const Measurement*> worst;
  for (const auto* low : low_copies(*measured)) {
    auto& one = worst[*low->gpu];
    if (one == nullptr || *median(*low) / *low->ceiling < *median(*one) / *one->ceiling) one = low;
  }
  for (const auto& [gpu, low] : worst)
    found.push_back({Severity::kWarning, fmt::format("GPU {}", gpu),
                     fmt::format("copies {} {:.1f} GB/s, as measured: {} % of what the link allows",
                                 low->metric == Metric::kHostToDevice ? "to it get" : "from it get", *median(*low),
                                 std::lround(100 * *median(*low) / *low->ceiling)),
                     fmt::format("near {:.1f} GB/s: {}", *low->ceiling, low->ceiling_from),
                     "# measure again on an idle machine; then look for PCIe errors in the kernel's log (dmesg | grep -i pcie), and "
                     "reseat the card or riser",
                     ""});
  const bool judged = std::any_of(measured->measurements.begin(), measured->measurements.end(), [](const Measurement& m) {
    return m.metric == Metric::kHostToDevice && !link_verdict(m).empty();
  });
  return judged ? "copies get what the links allow, as measured" : "";
}

CheckResult pcie_link(const Setup& s) {
  const auto& m = s.system.machine;
  std::vector<Finding> found;
  std::string idle;
  bool seen = false;
  for (const auto& gpu : m.gpus) {
    const auto* device = gpu.address ? find_pci(m, *gpu.address) : nullptr;
    if (device == nullptr || device->physfn || gpu.memory_node)
      continue;  // a virtual function's link is made up; over C2C it does not matter
    const auto way = hops(m, *device);
    if (way.empty() || (way.front().at != device->address && !has_made_up_link(*device))) continue;
    seen = true;
    const auto& own = way.front();
    const auto narrowest =
        std::min_element(way.begin(), way.end(), [](const Hop& a, const Hop& b) { return a.now.width < b.now.width; });
    const auto slot =
        std::min_element(way.begin(), way.end(), [](const Hop& a, const Hop& b) { return a.most.width < b.most.width; });
    if (narrowest->now.width < own.most.width)
      found.push_back(narrow_link(gpu.index, own, *narrowest, slot->most.width, way.size() == 1 && !device->parent));
    const auto slowest =
        std::min_element(way.begin(), way.end(), [](const Hop& a, const Hop& b) { return a.now.gt_per_s < b.now.gt_per_s; });
    double can = own.most.gt_per_s;
    for (const auto& hop : way) can = std::min(can, hop.most.gt_per_s);
    if (slowest->now.gt_per_s < can && idle.empty())
      idle = fmt::format("GPU {} runs at {} of {} GT/s now: usual while idle, so its speed shows only under load", gpu.index,
                         slowest->now.gt_per_s, can);
  }
  if (m.gpus.empty()) return not_here("no GPU");
  const auto measured = judge_measured(s.measured, found);
  if (found.empty() && !measured.empty()) return fine(measured);
  if (found.empty() && !seen) return unknown("the GPUs' link widths are not known");
  if (found.empty() && !idle.empty()) return unknown(idle);
  return settle(std::move(found), "full width and speed on the whole way up");
}

// ---- NVLink ---------------------------------------------------------------------------------------------------------

constexpr std::size_t kNoBridgeReachesSoMany = 5;  // bridges tie two cards, or four (H200 NVL)

CheckResult nvlink(const Setup& s) {
  const auto& m = s.system.machine;
  if (!m.notes.empty()) return unknown("what was read of this machine has gaps");
  std::map<int, std::vector<int>> counts;  // GPU -> links to each peer that it has any to
  for (const auto& gpu : m.gpus)
    if (gpu.vendor == kNvidia || gpu.vendor == 0) counts[gpu.index];
  for (const auto& link : m.links)
    if (link.kind == LinkKind::kNvlink && link.from.type == DeviceRef::Type::kGpu && link.to.type == DeviceRef::Type::kGpu &&
        link.count)
      counts[link.from.index].push_back(*link.count);
  std::map<int, int> sums;
  for (auto& [gpu, list] : counts)
    for (const int n : list) sums[gpu] += n;
  if (sums.empty()) return not_here("no NVLink");
  int most = 0;
  for (const auto& [gpu, sum] : sums) most = std::max(most, sum);
  std::vector<int> fewer;
  for (const auto& [gpu, list] : counts) {
    const int sum = sums.contains(gpu) ? sums.at(gpu) : 0;
    // Cards without any beside bridged pairs are built so; none on a board with a switch is a fault.
    if (sum < most && (sum > 0 || sums.size() >= kNoBridgeReachesSoMany)) fewer.push_back(gpu);
  }
  if (fewer.empty()) return fine(fmt::format("{} links on each of {}", most, count_text(sums.size(), "linked GPU")));
  if (fewer.size() * 2 > sums.size()) return fine("a mesh with differing numbers of links, as some boards have it");
  return settle({{Severity::kWarning, gpus_text(fewer),
                  fmt::format("{} NVLinks to its peers, added up; the other GPUs have {}",
                              sums.contains(fewer[0]) ? sums.at(fewer[0]) : 0, most),
                  "the same number on all GPUs of a board",
                  "# nvidia-smi nvlink -s -i N tells which are down; nvidia-smi nvlink -e counts errors; reset the GPU "
                  "(nvidia-smi -r), else replace it",
                  ""}},
                "");
}

// ---- peers and the network ------------------------------------------------------------------------------------------

constexpr int kAcsRequestRedirect = 0x4, kAcsCompletionRedirect = 0x8;  // PCIe base specification 7.7.8, ACS Control

/// Switch ports right below which, or further down, is a GPU or an RDMA NIC, with another such device on the same switch.
std::vector<PciAddress> peer_ports(const Machine& m) {
  std::map<PciAddress, std::map<PciAddress, int>> below;  // switch's upstream port -> downstream port -> devices
  const auto count = [&](const std::optional<PciAddress>& address) {
    const auto* d = address ? find_pci(m, *address) : nullptr;
    if (d == nullptr) return;
    const auto way = upstream(m, *d);
    for (std::size_t i = 0; i + 1 < way.size(); ++i) ++below[way[i + 1]->address][way[i]->address];
  };
  for (const auto& gpu : m.gpus) count(gpu.address);
  for (const auto& nic : m.nics)
    if (nic.infiniband) count(nic.address);
  std::vector<PciAddress> out;
  for (const auto& [up, ports] : below)
    if (ports.size() > 1)
      for (const auto& [port, devices] : ports) out.push_back(port);
  return out;
}

CheckResult acs(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  const auto ports = peer_ports(m);
  if (ports.empty()) return not_here("no two devices on one PCIe switch");
  std::string list, mend, undo;
  int redirecting = 0;
  bool seen = false;
  for (const auto& port : ports) {
    const auto it = s.pci.find(port);
    if (it == s.pci.end() || !it->second.config_readable) continue;
    seen = true;
    const int control = it->second.acs_control.value_or(0);
    if ((control & (kAcsRequestRedirect | kAcsCompletionRedirect)) == 0) continue;
    ++redirecting;
    const auto name = port.to_string();
    list += (list.empty() ? "" : ", ") + name;
    mend += fmt::format("{}setpci -s {} ECAP_ACS+6.w={:04x}", mend.empty() ? "" : "\n", name,
                        control & ~(kAcsRequestRedirect | kAcsCompletionRedirect));
    undo += fmt::format("{}setpci -s {} ECAP_ACS+6.w={:04x}", undo.empty() ? "" : "\n", name, control);
  }
  if (!seen) return unknown("configuration space can be read by root only");
  if (redirecting == 0) return fine("the switches let peers talk directly");
  return settle({{Severity::kWarning, "", fmt::format("ACS redirects peer traffic up to the root complex on {}", list),
                  "off on bare metal; where devices are given to virtual machines it is what keeps them apart, and has to stay",
                  mend, undo}},
                "");
}

CheckResult bar_size(const Setup& s) {
  const auto& m = s.system.machine;
  std::vector<int> small;
  bool seen = false;
  std::string words;
  for (const auto& gpu : m.gpus) {
    const auto it = gpu.address ? s.pci.find(*gpu.address) : s.pci.end();
    const auto* device = gpu.address ? find_pci(m, *gpu.address) : nullptr;
    if (it == s.pci.end() || !it->second.bar_bytes || !gpu.memory_bytes || *gpu.memory_bytes == 0 ||
        (device != nullptr && device->physfn))
      continue;
    seen = true;
    // BARs are powers of two, and a card's usable memory is a little less than its size.
    if (*it->second.bar_bytes * 2 > *gpu.memory_bytes) continue;
    small.push_back(gpu.index);
    words = fmt::format("{} of its {} can be reached over PCIe at a time", size_text(*it->second.bar_bytes),
                        size_text(*gpu.memory_bytes));
  }
  if (m.gpus.empty()) return not_here("no GPU");
  if (!seen) return unknown("the GPUs' memory or their BARs are not known");
  if (small.empty()) return fine("all of the GPUs' memory can be reached over PCIe");
  return settle(
      {{Severity::kNote, gpus_text(small), words,
        "all of it, for peer access and GPUDirect RDMA: 'Resizable BAR' and 'Above 4G decoding' in the firmware", "", ""}},
      "");
}

CheckResult nic_pairing(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty() || std::none_of(m.nics.begin(), m.nics.end(), [](const Nic& n) { return n.infiniband; }))
    return not_here("no GPU with an RDMA NIC");
  std::vector<int> far;
  bool seen = false;
  for (const auto& gpu : m.gpus) {
    bool near = false, told = false;
    for (const auto& nic : m.nics) {
      if (!nic.infiniband) continue;
      const auto* link = find_link(m, {DeviceRef::Type::kGpu, gpu.index}, {DeviceRef::Type::kNic, nic.index});
      if (link == nullptr) continue;
      told = true;
      near = near || (link->kind != LinkKind::kSys && link->kind != LinkKind::kSoc && link->kind != LinkKind::kDisconnected);
    }
    seen = seen || told;
    if (told && !near) far.push_back(gpu.index);
  }
  if (!seen) return unknown("the ways from GPUs to NICs are not known");
  if (far.empty()) return fine("every GPU has an RDMA NIC on its side");
  return settle(
      {{Severity::kNote, gpus_text(far), "every RDMA NIC is on another node (SYS)",
        "a NIC beside each GPU, where slots allow it; NCCL goes through a GPU that has one (PXN) or across the sockets", "", ""}},
      "");
}

CheckResult peermem(const Setup& s) {
  const auto& m = s.system.machine;
  const auto& modules = s.software.modules;
  const auto loaded = [&](std::string_view name) { return std::find(modules.begin(), modules.end(), name) != modules.end(); };
  const bool nvidia = std::any_of(m.gpus.begin(), m.gpus.end(), [](const Gpu& g) { return g.vendor == kNvidia; });
  if (!nvidia || std::none_of(m.nics.begin(), m.nics.end(), [](const Nic& n) { return n.infiniband; }))
    return not_here("no NVIDIA GPU with an RDMA NIC");
  if (modules.empty() || !s.software.nvidia.kernel_module) return unknown("the loaded modules are not known");
  if (loaded("nvidia_peermem") || loaded("nv_peer_mem")) return fine("nvidia-peermem is loaded");
  if (s.software.nvidia.kernel_module->find("Open Kernel Module") != std::string::npos)
    return fine("the open kernel modules share memory by dma-buf");
  return settle({{Severity::kWarning, "", "nvidia-peermem is not loaded, and the driver is not the open one",
                  "loaded: else GPUDirect RDMA is off, and data is staged in host memory", "modprobe nvidia-peermem",
                  "rmmod nvidia-peermem"}},
                "");
}

constexpr Check kChecks[] = {
    {"pcie-link", Family::kPcie, Severity::kWarning, Effect::kLarge, "PCIe links have their full width",
     "8 instead of 64 GB/s, with the GPU shown as 100 % busy, for 3.5 hours (rtx6kpro#88: Gen2 instead of Gen5)",
     "Looked at is the whole way from the GPU up to its host bridge: a switch's or riser's link may be the narrow one. Width "
     "does not "
     "change while a GPU idles, so fewer lanes are a finding. Speed does: idle GPUs fall back to 2.5 GT/s, and come up under "
     "load. So a low "
     "speed is called unknown, never a finding: measure a copy under load, by numapin bench --out FILE, and give --measured FILE: "
     "copies below three quarters of what the link allows are a finding. A GPU right on the root bus is in a virtual machine, "
     "where the provider decided (a T4 has 8 of its 16 lanes on AWS's g4dn): a note, no more.",
     true, pcie_link},
    {"nvlink", Family::kPcie, Severity::kWarning, Effect::kLarge, "all GPUs have as many NVLinks",
     "unmeasured; collectives run at the pace of the GPU with the fewest links",
     "A link that did not train is not an error for the driver. Compared are the GPUs of one machine with each other: cards "
     "without NVLink, "
     "bridged pairs and meshes are built to differ, and are left alone.",
     true, nvlink},
    {"acs", Family::kPcie, Severity::kWarning, Effect::kLarge, "PCIe switches let peers talk directly",
     "unmeasured here; NCCL's documentation: peer-to-peer transfers are slow, or hang",
     "With ACS request redirect on, a switch sends traffic between two of its GPUs up to the root complex and down again. "
     "Firmware and the "
     "kernel switch it on with the IOMMU. Read from the ports' configuration space, which needs root.",
     false, acs},
    {"bar-size", Family::kPcie, Severity::kNote, Effect::kUnmeasured, "all of a GPU's memory can be reached over PCIe",
     "unmeasured",
     "Cards for workstations show 256 MiB of their memory at a time unless the firmware allows resizable BARs. Data-centre cards "
     "show all.",
     false, bar_size},
    {"nic-pairing", Family::kPcie, Severity::kNote, Effect::kModerate, "every GPU has an RDMA NIC on its side", "unmeasured",
     "For GPUDirect RDMA the NIC should be on the GPU's PCIe switch, or at least on its node. Reported when all RDMA NICs are "
     "across the "
     "link between the sockets.",
     true, nic_pairing},
    {"peermem", Family::kPcie, Severity::kWarning, Effect::kLarge, "GPUDirect RDMA has its kernel module",
     "unmeasured; every transfer is staged through host memory",
     "NICs reach GPU memory through nvidia-peermem, or through dma-buf with NVIDIA's open kernel modules and Linux 5.12 or "
     "later.",
     false, peermem},
};

}  // namespace

std::span<const Check> pcie_checks() { return kChecks; }

}  // namespace numapin::doctor
