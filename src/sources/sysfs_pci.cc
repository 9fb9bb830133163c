// PCI devices from /sys/bus/pci/devices (kernel Documentation/PCI/sysfs-pci.rst), and the network and NVMe names on them.
#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin::sources {
namespace {

const std::string kPciDir = "/sys/bus/pci/devices/";

// ---- what it is ----------------------------------------------------------------------------------------------------

/// "KEY=value" of a uevent text
std::optional<std::string_view> variable(std::string_view uevent, std::string_view key) {
  for (const auto line : split_lines(uevent))
    if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) return line.substr(key.size() + 1);
  return std::nullopt;
}

/// One file with class, vendor, device and driver: "DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID=10DE:2330\n...".
bool identify_by_uevent(const FileTree& tree, const std::string& dir, PciDevice& d) {
  const auto text = tree.read(dir + "/uevent");
  if (!text) return false;
  const auto code = variable(*text, "PCI_CLASS");
  const auto ids = variable(*text, "PCI_ID");
  if (!code || !ids) return false;
  const auto colon = ids->find(':');
  const auto number = parse_hex<std::uint32_t>(trim(*code));
  const auto vendor = parse_hex<std::uint16_t>(ids->substr(0, colon));
  const auto device = parse_hex<std::uint16_t>(trim(ids->substr(std::min(colon, ids->size() - 1) + 1)));
  if (!number || !vendor || !device) return false;
  d.class_code = *number, d.vendor = *vendor, d.device = *device;
  d.driver = std::string(trim(variable(*text, "DRIVER").value_or("")));
  return true;
}

template <class Int>
std::optional<Int> read_hex(const FileTree& tree, const std::string& path) {
  const auto text = read_text(tree, path);
  return text ? parse_hex<Int>(*text) : std::nullopt;
}

bool identify_by_files(const FileTree& tree, const std::string& dir, PciDevice& d) {
  const auto code = read_hex<std::uint32_t>(tree, dir + "/class");
  const auto vendor = read_hex<std::uint16_t>(tree, dir + "/vendor");
  const auto device = read_hex<std::uint16_t>(tree, dir + "/device");
  if (!code || !vendor || !device) return false;
  d.class_code = *code, d.vendor = *vendor, d.device = *device;
  if (const auto driver = tree.resolve(dir + "/driver")) d.driver = std::string(base_name(*driver));
  return true;
}

/// Old recordings have only the first bytes of configuration space: vendor at 0, device at 2, class at 9, little-endian.
bool identify_by_config(const FileTree& tree, const std::string& dir, PciDevice& d) {
  const auto config = tree.read(dir + "/config");
  if (!config || config->size() < 12) return false;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>((*config)[i])); };
  d.vendor = static_cast<std::uint16_t>(byte(0) | byte(1) << 8);
  d.device = static_cast<std::uint16_t>(byte(2) | byte(3) << 8);
  d.class_code = byte(9) | byte(10) << 8 | byte(11) << 16;
  return d.vendor != 0xffff;  // what a device that does not answer reads as
}

// ---- where it is ---------------------------------------------------------------------------------------------------

/// ".../pci0000:17/0000:17:01.0/0000:18:00.0": the bridge above and the root bus. Below a root bus that hangs under a
/// device (VMD, Hyper-V) the nearest root bus counts.
void place(const std::string& path, PciDevice& d) {
  const auto parts = split(path, '/');
  for (std::size_t i = parts.size() - 1; i-- > 0;) {
    if (const auto above = PciAddress::parse(parts[i]); above && !d.parent && *above != d.address) d.parent = above;
    if (!parts[i].starts_with("pci") || parts[i].find(':') == parts[i].npos) continue;
    d.host_bridge = std::string(parts[i]);
    if (i + 2 == parts.size()) d.parent.reset();
    return;
  }
}

void add_locality(const FileTree& tree, const std::string& dir, PciDevice& d) {
  if (const auto node = read_number<int>(tree, dir + "/numa_node"); node && *node >= 0)
    d.numa_node = {NodeId{*node}, Source::kSysfs};
  if (auto cpus = read_cpus(tree, dir + "/local_cpulist", dir + "/local_cpus")) d.local_cpus = {*cpus, Source::kSysfs};
}

std::optional<PciDevice> read_device(const FileTree& tree, const std::string& name) {
  const auto address = PciAddress::parse(name);
  if (!address) return std::nullopt;
  PciDevice d;
  d.address = *address;
  const auto dir = kPciDir + name;
  if (!identify_by_uevent(tree, dir, d) && !identify_by_files(tree, dir, d) && !identify_by_config(tree, dir, d))
    return std::nullopt;
  if (const auto path = tree.resolve(dir)) place(*path, d);
  add_locality(tree, dir, d);
  return d;
}

// ---- its link ------------------------------------------------------------------------------------------------------

/// "16.0 GT/s PCIe", "8 GT/s"; "Unknown" gives nothing
std::optional<double> parse_speed(std::string_view text) {
  double speed = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), speed);
  if (ec != std::errc{} || speed <= 0) return std::nullopt;
  return speed;
}

Fact<PciLink> read_link(const FileTree& tree, const std::string& dir, const std::string& which) {
  const auto text = read_text(tree, dir + "/" + which + "_link_speed");
  const auto speed = text ? parse_speed(*text) : std::nullopt;
  if (!speed) return {};
  const auto width = read_number<int>(tree, dir + "/" + which + "_link_width");
  if (!width || *width < 1 || *width > 32) return {};  // 0 and 255: no link
  return {{*speed, *width}, Source::kSysfs};
}

bool carries_jobs(const PciDevice& d) {
  return is_bindable_gpu(d.vendor, d.device, d.class_code) || is_nic(d.class_code) || is_nvme(d.class_code);
}

/// GPUs, NICs and NVMe, and all bridges above them. Not the others: each of the files makes the kernel read the
/// device's configuration space, which takes milliseconds in a VM.
std::set<PciAddress> with_upstream(const Machine& m) {
  std::set<PciAddress> wanted;
  for (const auto& device : m.pci) {
    if (!carries_jobs(device)) continue;
    for (const auto* d = &device; d != nullptr && wanted.insert(d->address).second;)
      d = d->parent ? find_pci(m, *d->parent) : nullptr;
  }
  return wanted;
}

void add_links(const FileTree& tree, Machine& m) {
  const auto wanted = with_upstream(m);
  for (auto& d : m.pci) {
    if (!wanted.contains(d.address)) continue;
    const auto dir = kPciDir + d.address.to_string();
    d.link = read_link(tree, dir, "current");
    d.link_max = read_link(tree, dir, "max");
    if (!carries_jobs(d)) continue;
    if (const auto physfn = tree.resolve(dir + "/physfn")) d.physfn = PciAddress::parse(base_name(*physfn));
  }
}

// ---- what is on it -------------------------------------------------------------------------------------------------

void add_gpus(Machine& m) {
  for (const auto& d : m.pci) {
    if (!is_bindable_gpu(d.vendor, d.device, d.class_code)) continue;
    Gpu gpu;
    gpu.index = static_cast<int>(m.gpus.size());
    gpu.address = d.address;
    gpu.vendor = d.vendor;
    gpu.device = d.device;
    m.gpus.push_back(std::move(gpu));
  }
}

/// The PCI function that an entry of /sys/class hangs below: the last address in its path
/// (".../0000:18:00.0/net/eth0", also ".../0000:00:03.0/virtio0/net/eth0").
std::optional<PciAddress> function_of(const FileTree& tree, const std::string& entry) {
  auto path = tree.resolve(entry);
  if (!path || path->find("/devices/virtual/") != path->npos) return std::nullopt;
  if (path->starts_with("/sys/class/")) path = tree.resolve(entry + "/device");  // not a link in some recordings
  if (!path) return std::nullopt;
  const auto parts = split(*path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    if (const auto address = PciAddress::parse(*part)) return address;
  return std::nullopt;
}

struct ClassEntry {
  PciAddress address;
  std::string name;
};

std::vector<ClassEntry> class_entries(const FileTree& tree, const std::string& dir) {
  std::vector<ClassEntry> found;
  for (auto& name : entries(tree, dir))
    if (const auto address = function_of(tree, dir + "/" + name)) found.push_back({*address, std::move(name)});
  return found;
}

/// "200 Gb/sec (4X HDR)" of an RDMA port, in megabit per second
std::optional<int> parse_rate(std::string_view text) {
  const auto words = split_words(text);
  if (words.size() < 2 || words[1] != "Gb/sec") return std::nullopt;
  const auto speed = parse_speed(words[0]);
  if (!speed || *speed > 1e6) return std::nullopt;
  return static_cast<int>(*speed * 1000);
}

/// The fastest port counts. An interface that is down says -1, or nothing.
void add_speed(const FileTree& tree, Nic& nic) {
  int best = 0;
  for (const auto& interface : nic.interfaces)
    best = std::max(best, read_number<int>(tree, "/sys/class/net/" + interface + "/speed").value_or(0));
  const auto ports = "/sys/class/infiniband/" + nic.name + "/ports";
  if (nic.infiniband && best == 0) {
    for (const auto& port : entries(tree, ports))
      if (const auto rate = read_text(tree, ports + "/" + port + "/rate"))
        best = std::max(best, parse_rate(*rate).value_or(0));
  }
  if (best > 0) nic.speed_mb_per_s = {best, Source::kSysfs};
}

constexpr std::uint32_t kInfinibandClass = 0x0207;

void add_nics(const FileTree& tree, Machine& m) {
  const bool any = std::any_of(m.pci.begin(), m.pci.end(), [](const PciDevice& d) { return is_nic(d.class_code); });
  if (!any) return;
  const auto interfaces = class_entries(tree, "/sys/class/net");
  const auto rdma = class_entries(tree, "/sys/class/infiniband");
  for (const auto& d : m.pci) {
    if (!is_nic(d.class_code)) continue;
    Nic nic;
    nic.index = static_cast<int>(m.nics.size());
    nic.address = d.address;
    nic.vendor = d.vendor;
    nic.device = d.device;
    nic.infiniband = d.class_code >> 8 == kInfinibandClass;
    for (const auto& e : interfaces)
      if (e.address == d.address) nic.interfaces.push_back(e.name);
    if (!nic.interfaces.empty()) nic.name = nic.interfaces.front();
    for (const auto& e : rdma)
      if (e.address == d.address) nic.name = e.name, nic.infiniband = true;
    add_speed(tree, nic);
    m.nics.push_back(std::move(nic));
  }
}

void add_nvme(const FileTree& tree, Machine& m) {
  const bool any = std::any_of(m.pci.begin(), m.pci.end(), [](const PciDevice& d) { return is_nvme(d.class_code); });
  if (!any) return;
  const auto controllers = class_entries(tree, "/sys/class/nvme");
  for (const auto& d : m.pci) {
    if (!is_nvme(d.class_code)) continue;
    Nvme drive;
    drive.index = static_cast<int>(m.nvme.size());
    drive.address = d.address;
    for (const auto& e : controllers)
      if (e.address == d.address) drive.name = e.name;
    m.nvme.push_back(std::move(drive));
  }
}

}  // namespace

void add_pci(const FileTree& tree, Machine& m) {
  for (const auto& name : entries(tree, "/sys/bus/pci/devices"))
    if (auto device = read_device(tree, name)) m.pci.push_back(std::move(*device));
  std::sort(m.pci.begin(), m.pci.end(), [](const PciDevice& a, const PciDevice& b) { return a.address < b.address; });
  // a recording may lack a bridge that a path names
  for (auto& d : m.pci)
    if (d.parent && find_pci(m, *d.parent) == nullptr) d.parent.reset();
  add_links(tree, m);
  for (auto& d : m.pci)
    if (d.physfn && find_pci(m, *d.physfn) == nullptr) d.physfn.reset();
  add_gpus(m);
  add_nics(tree, m);
  add_nvme(tree, m);
}

}  // namespace numapin::sources
