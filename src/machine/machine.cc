// Names of the model's enumerators, PCI addresses and the cells of a link matrix.
#include "numapin/machine.h"

#include <fmt/format.h>

#include <cmath>

#include "base/numbers.h"

namespace numapin {

std::string_view to_string(Source s) {
  switch (s) {
    case Source::kNone: return "unknown";
    case Source::kSysfs: return "sysfs";
    case Source::kBridge: return "bridge";
    case Source::kOneNode: return "one-node";
    case Source::kProcDriver: return "proc-driver";
    case Source::kNvml: return "nvml";
    case Source::kKfd: return "kfd";
    case Source::kHwlocXml: return "hwloc-xml";
    case Source::kNcclXml: return "nccl-xml";
    case Source::kSmiTopo: return "nvidia-smi";
    case Source::kNumactl: return "numactl";
    case Source::kLscpu: return "lscpu";
    case Source::kRocmSmi: return "rocm-smi";
    case Source::kLspci: return "lspci";
    case Source::kProcfs: return "procfs";
    case Source::kPciTree: return "pci-tree";
    case Source::kCpuList: return "cpu-list";
    case Source::kMeasured: return "measured";
    case Source::kUser: return "user";
  }
  return "unknown";
}

std::string_view to_string(MemoryKind k) {
  switch (k) {
    case MemoryKind::kDram: return "dram";
    case MemoryKind::kHbm: return "hbm";
    case MemoryKind::kCxl: return "cxl";
    case MemoryKind::kPmem: return "pmem";
    case MemoryKind::kGpu: return "gpu";
    case MemoryKind::kUnspecified: return "unspecified";
  }
  return "unspecified";
}

std::string_view to_string(LinkKind kind) {
  switch (kind) {
    case LinkKind::kSelf: return "X";
    case LinkKind::kNvlink: return "NV";
    case LinkKind::kXgmi: return "XGMI";
    case LinkKind::kC2c: return "C2C";
    case LinkKind::kPix: return "PIX";
    case LinkKind::kPxb: return "PXB";
    case LinkKind::kPhb: return "PHB";
    case LinkKind::kNode: return "NODE";
    case LinkKind::kSys: return "SYS";
    case LinkKind::kSoc: return "SOC";
    case LinkKind::kDisconnected: return "DIS";
  }
  return "DIS";
}

std::string to_string(const Link& link) {
  std::string cell(to_string(link.kind));
  if (link.kind == LinkKind::kNvlink && link.count) cell += std::to_string(*link.count);
  return cell;
}

std::optional<Link> parse_link(std::string_view cell) {
  cell = trim(cell);
  Link link;
  for (int k = 0; k <= static_cast<int>(LinkKind::kDisconnected); ++k) {
    link.kind = static_cast<LinkKind>(k);
    if (cell == to_string(link.kind)) return link;
  }
  if (!cell.starts_with("NV")) return std::nullopt;
  link.kind = LinkKind::kNvlink;
  link.count = parse_number<int>(cell.substr(2));
  if (!link.count || *link.count < 1) return std::nullopt;
  return link;
}

namespace {

/// A field of 1 to `digits` hexadecimal digits, at most `limit`; "0x" and signs are not digits.
std::optional<std::uint32_t> hex_field(std::string_view text, std::size_t digits, std::uint32_t limit) {
  if (text.empty() || text.size() > digits) return std::nullopt;
  const auto value = parse_number<std::uint32_t>(text, 16);
  if (!value || *value > limit) return std::nullopt;
  return value;
}

}  // namespace

std::optional<PciAddress> PciAddress::parse(std::string_view text) {
  text = trim(text);
  const auto dot = text.rfind('.');
  if (dot == text.npos) return std::nullopt;
  const auto function = hex_field(text.substr(dot + 1), 1, 7);
  text = text.substr(0, dot);
  const auto last_colon = text.rfind(':');
  if (last_colon == text.npos) return std::nullopt;
  const auto device = hex_field(text.substr(last_colon + 1), 2, 0x1f);
  text = text.substr(0, last_colon);
  std::optional<std::uint32_t> domain = 0;
  if (const auto colon = text.find(':'); colon != text.npos) {
    domain = hex_field(text.substr(0, colon), 8, 0xffffffff);
    text = text.substr(colon + 1);
  }
  const auto bus = hex_field(text, 2, 0xff);
  if (!function || !device || !domain || !bus) return std::nullopt;
  return PciAddress{*domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                    static_cast<std::uint8_t>(*function)};
}

std::string PciAddress::to_string() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, device, function);
}

int PciLink::generation() const {
  // Rates of PCI Express 1.0 to 7.0, a lane and direction.
  constexpr double kRates[] = {2.5, 5, 8, 16, 32, 64, 128};
  for (int i = 0; i < 7; ++i)
    if (std::abs(gt_per_s - kRates[i]) < 0.01) return i + 1;
  return 0;
}

double PciLink::gb_per_s() const {
  const double coding = gt_per_s < 8 ? 8.0 / 10 : 128.0 / 130;
  return gt_per_s * width * coding / 8;
}

}  // namespace numapin
