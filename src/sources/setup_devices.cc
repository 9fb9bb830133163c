// Of PCI functions: what only doctor wants to know.
#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "sources/read.h"
#include "sources/setup.h"

namespace numapin {
namespace {

using sources::base_name;
using sources::entries;
using sources::read_cpus;
using sources::read_text;

const std::string kDevices = "/sys/bus/pci/devices/";
constexpr std::size_t kLegacyConfig = 256;  // what is readable of a device without extended configuration space

/// Type of the IOMMU group that the device is in: "identity", "DMA", "DMA-FQ", ...
std::string iommu_domain(const FileTree& tree, const std::string& device) {
  const auto group = tree.resolve(device + "/iommu_group");
  if (!group) return "";
  return read_text(tree, "/sys/kernel/iommu_groups/" + std::string(base_name(*group)) + "/type").value_or("");
}

/// Lines "start end flags" in hexadecimal, a region each; the first six are the BARs.
std::optional<std::uint64_t> largest_bar(const FileTree& tree, const std::string& device) {
  constexpr int kBars = 6;
  constexpr std::uint64_t kMemory = 0x200;  // IORESOURCE_MEM
  const auto text = tree.read(device + "/resource");
  if (!text) return std::nullopt;
  std::optional<std::uint64_t> largest;
  int line_number = 0;
  for (const auto line : split_lines(*text)) {
    if (++line_number > kBars) break;
    const auto words = split_words(line);
    if (words.size() < 3) continue;
    const auto start = parse_hex<std::uint64_t>(words[0]), end = parse_hex<std::uint64_t>(words[1]), flags = parse_hex<std::uint64_t>(words[2]);
    if (!start || !end || !flags || *end <= *start || (*flags & kMemory) == 0) continue;
    largest = std::max(largest.value_or(0), *end - *start + 1);
  }
  return largest;
}

/// Where each interrupt goes, and where it may go. Old kernels tell only the latter.
void read_irqs(const FileTree& tree, const std::string& device, PciFacts& facts) {
  for (const auto& name : entries(tree, device + "/msi_irqs")) {
    const auto irq = parse_number<int>(name);
    if (!irq) continue;
    const auto dir = "/proc/irq/" + name;
    const auto mask = read_cpus(tree, dir + "/smp_affinity_list");
    auto cpus = read_cpus(tree, dir + "/effective_affinity_list");
    if (!cpus || cpus->empty()) cpus = mask;
    if (!cpus || cpus->empty()) continue;
    facts.irqs[*irq] = *cpus;
    facts.irq_masks[*irq] = mask.value_or(*cpus);
  }
}

void read_acs(const FileTree& tree, const PciAddress& bridge, std::map<PciAddress, PciFacts>& out) {
  auto& facts = out[bridge];
  const auto config = tree.read(kDevices + bridge.to_string() + "/config");
  if (!config || config->size() < kLegacyConfig) return;  // others than root read 64 bytes
  facts.config_readable = true;
  facts.acs_control = parse_acs_control(*config);
}

}  // namespace

std::optional<int> parse_acs_control(std::string_view config) {
  constexpr std::size_t kFirst = 0x100, kControl = 6;  // extended capabilities; offset of the register
  constexpr std::uint32_t kAcs = 0x000d;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(config[at])); };
  std::size_t at = kFirst;
  // A chain of headers: 16 bits of id, 4 of version, 12 of the next one's offset. Broken hardware may chain in a circle.
  for (int steps = 0; steps < 64 && at >= kFirst && at + 8 <= config.size(); ++steps) {
    const auto header = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    if (header == 0 || header == 0xffffffff) return std::nullopt;
    if ((header & 0xffff) == kAcs) return static_cast<int>(byte(at + kControl) | byte(at + kControl + 1) << 8);
    at = header >> 20 & 0xffc;
  }
  return std::nullopt;
}

std::map<PciAddress, PciFacts> read_pci_facts(const FileTree& tree, const Machine& m) {
  std::map<PciAddress, PciFacts> out;
  const auto add_device = [&](const std::optional<PciAddress>& address) {
    if (!address) return;
    const auto path = kDevices + address->to_string();
    auto& facts = out[*address];
    facts.iommu_domain = iommu_domain(tree, path);
    facts.bar_bytes = largest_bar(tree, path);
    read_irqs(tree, path, facts);
    const auto* device = find_pci(m, *address);
    if (device == nullptr) return;
    for (const auto* bridge : upstream(m, *device))
      if (!out[bridge->address].config_readable) read_acs(tree, bridge->address, out);
  };
  for (const auto& gpu : m.gpus) add_device(gpu.address);
  for (const auto& nic : m.nics) add_device(nic.address);
  return out;
}

}  // namespace numapin
