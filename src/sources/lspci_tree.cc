// The text of `lspci -tv`: addresses by the shape of the tree, devices by their names.
//
//   -[0000:00]-+-00.0  Intel Corporation ...
//              +-01.0-[01-02]----00.0-[02]----00.0  NVIDIA Corporation GA102GL [RTX A6000]
//              \-02.0-[03]--+-00.0  ...
//                           \-00.1  ...
// A branch ("+-", "\-") belongs to the bus whose first device stands in the same column.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/paste.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "lspci -tv text";
constexpr Source kFrom = Source::kLspci;
constexpr std::uint32_t kPciBridge = 0x060400;
constexpr std::uint16_t kNvidia = 0x10de, kAmdGpu = 0x1002, kIntel = 0x8086;

struct Bus {
  bool known = false;
  std::uint32_t domain = 0;
  std::uint8_t number = 0;
  std::optional<PciAddress> bridge;
  std::string host_bridge;
};

struct Entry {
  PciDevice device;
  std::string text;
  bool is_bridge = false;
};

struct Parser {
  std::map<std::size_t, Bus> branches;  // by column
  std::vector<Entry> entries;
  std::vector<std::string> notes;
  int line = 0;

  void read_line(std::string_view text);
  bool read_bus(std::string_view inside, Bus& bus, std::optional<std::size_t> bridge);
};

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// "0000:00" is a root bus; "01", "01-05" or "0000:01-05" is the bus below the bridge that stands before it.
bool Parser::read_bus(std::string_view inside, Bus& bus, std::optional<std::size_t> bridge) {
  const auto colon = inside.rfind(':');
  const auto number = parse_number<std::uint8_t>(inside.substr(colon == inside.npos ? 0 : colon + 1).substr(0, 2), 16);
  if (!number) return false;
  if (colon != inside.npos) {
    const auto domain = parse_number<std::uint32_t>(inside.substr(0, colon), 16);
    if (!domain) return false;
    bus.domain = *domain;
  }
  bus.number = *number;
  bus.known = true;
  if (bridge) {
    entries[*bridge].is_bridge = true;
    bus.bridge = entries[*bridge].device.address;
  } else {
    if (colon == inside.npos) return false;
    bus.bridge.reset();
    bus.host_bridge = fmt::format("pci{:04x}:{:02x}", bus.domain, bus.number);
  }
  return true;
}

void Parser::read_line(std::string_view text) {
  auto at = text.find_first_not_of(" |");
  if (at == text.npos) return;
  Bus bus;
  if (text[at] == '+' || text[at] == '\\') {
    const auto branch = branches.find(at);
    if (branch == branches.end()) return notes.push_back(fmt::format("line {}: a branch that hangs on nothing", line));
    bus = branch->second;
    branches.erase(branches.upper_bound(at), branches.end());
    ++at;
  } else if (text[at] == '-') {
    branches.clear();
  } else {
    return;
  }
  std::optional<std::size_t> last;  // the device just read
  while (at < text.size()) {
    if (text[at] == '-') {
      ++at;
    } else if (text[at] == '+' || text[at] == '\\') {
      branches[at++] = bus;
      last.reset();
    } else if (text[at] == '[') {
      const auto close = text.find(']', at);
      if (close == text.npos || !read_bus(text.substr(at + 1, close - at - 1), bus, last)) break;
      last.reset();
      at = close + 1;
    } else if (at + 4 <= text.size() && is_hex(text[at]) && text[at + 2] == '.') {
      const auto slot = parse_number<std::uint8_t>(text.substr(at, 2), 16);
      const auto function = parse_number<std::uint8_t>(text.substr(at + 3, 1), 16);
      if (!slot || !function || *slot > 0x1f || *function > 7 || !bus.known) break;
      Entry entry;
      entry.device.address = {bus.domain, bus.number, *slot, *function};
      entry.device.parent = bus.bridge;
      entry.device.host_bridge = bus.host_bridge;
      last = entries.size();
      entries.push_back(std::move(entry));
      at += 4;
    } else {
      if (last && text[at] == ' ') entries[*last].text = trim(text.substr(at));
      return;
    }
  }
  if (at < text.size()) notes.push_back(fmt::format("line {}, column {}: not a tree of buses", line, at + 1));
}

// ---- what a device is, by its name ----------------------------------------------------------------------------------

struct Vendor {
  std::string_view name;
  std::uint16_t id;
};
constexpr Vendor kVendors[] = {
    {"NVIDIA Corporation", kNvidia},
    {"Advanced Micro Devices, Inc. [AMD/ATI]", kAmdGpu},
    {"Advanced Micro Devices, Inc. [AMD]", 0x1022},
    {"Intel Corporation", kIntel},
    {"Mellanox Technologies", 0x15b3},
    {"Broadcom Inc. and subsidiaries", 0x14e4},
    {"ASPEED Technology, Inc.", 0x1a03},
    {"Matrox Electronics Systems Ltd.", 0x102b},
    {"Samsung Electronics Co Ltd", 0x144d},
    {"Amazon.com, Inc.", 0x1d0f},
    {"Red Hat, Inc.", 0x1af4},
};

/// The ids where the text has them: "Device 2335" for a device the database does not know, "[10de:2335]" with -nn.
void read_ids(Entry& entry) {
  for (const auto& vendor : kVendors)
    if (entry.text.starts_with(vendor.name)) entry.device.vendor = vendor.id;
  const auto words = split_words(entry.text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto w = words[i];
    if (w.size() == 11 && w.front() == '[' && w.back() == ']' && w[5] == ':') {
      entry.device.vendor = parse_number<std::uint16_t>(w.substr(1, 4), 16).value_or(entry.device.vendor);
      entry.device.device = parse_number<std::uint16_t>(w.substr(6, 4), 16).value_or(0);
    } else if (w == "Device" && i + 1 < words.size() && words[i + 1].size() == 4) {
      entry.device.device = parse_number<std::uint16_t>(words[i + 1], 16).value_or(0);
    }
  }
}

template <std::size_t N>
bool has_any(std::string_view text, const std::string_view (&words)[N]) {
  return std::any_of(std::begin(words), std::end(words), [&](std::string_view w) { return text.find(w) != text.npos; });
}

/// The tree has no classes. A maker of GPUs also makes the audio and USB functions on the same card (never function 0),
/// switches and network cards; those that the database does not name are known by their ids.
bool is_gpu(const Entry& entry) {
  constexpr std::string_view kOther[] = {"Audio", "USB", "UCSI", "NVSwitch", "Bridge", "Switch", "Root", "Ethernet",
                                         "BlueField", "ConnectX", "Serial", "SMBus", "Memory Controller", "Host", "Encryption"};
  constexpr std::string_view kIntelGpu[] = {"Data Center GPU", "Ponte Vecchio", "[Arc ", "Arc Pro", "Max 1550", "Max 1100"};
  constexpr std::uint16_t kNvSwitches[] = {0x1ac2, 0x1af1, 0x22a3};  // of V100, A100 and H100 systems
  const auto& d = entry.device;
  if (entry.is_bridge || d.address.function != 0 || has_any(entry.text, kOther)) return false;
  if (d.vendor == kNvidia) return std::find(std::begin(kNvSwitches), std::end(kNvSwitches), d.device) == std::end(kNvSwitches);
  if (d.vendor == kAmdGpu) return true;
  return d.vendor == kIntel && (has_any(entry.text, kIntelGpu) || !device_name(d.vendor, d.device).empty());
}

bool is_network(const Entry& entry) {
  constexpr std::string_view kWords[] = {"ConnectX", "Ethernet", "Network", "network device", "InfiniBand", "Omni-Path HFI"};
  return !entry.is_bridge && has_any(entry.text, kWords);
}

bool is_drive(const Entry& entry) {
  return !entry.is_bridge && entry.text.find("NVMe") != entry.text.npos && entry.text.find("Bridge") == entry.text.npos;
}

/// The name without its maker: "GA102GL [RTX A6000]".
std::string model_of(const Entry& entry) {
  for (const auto& vendor : kVendors)
    if (entry.text.starts_with(vendor.name)) return std::string(trim(std::string_view(entry.text).substr(vendor.name.size())));
  return entry.text;
}

void add_device(Machine& m, const Entry& entry) {
  const auto& d = entry.device;
  if (is_gpu(entry)) {
    Gpu gpu;
    gpu.index = static_cast<int>(m.gpus.size());
    gpu.address = d.address;
    gpu.vendor = d.vendor;
    gpu.device = d.device;
    gpu.model = {model_of(entry), kFrom};
    m.gpus.push_back(std::move(gpu));
  } else if (is_network(entry)) {
    Nic nic;
    nic.index = static_cast<int>(m.nics.size());
    nic.address = d.address;
    nic.vendor = d.vendor;
    nic.device = d.device;
    m.nics.push_back(std::move(nic));
  } else if (is_drive(entry)) {
    Nvme drive;
    drive.index = static_cast<int>(m.nvme.size());
    drive.address = d.address;
    m.nvme.push_back(std::move(drive));
  }
  m.pci.push_back(d);
}

}  // namespace

Result<Machine> from_lspci_tree(std::string_view pasted) {
  if (pasted.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  const auto text = clean_paste(pasted);
  Parser parser;
  const auto lines = split_lines(text);
  for (auto line : lines) {
    ++parser.line;
    parser.read_line(line);
  }
  auto& entries = parser.entries;
  if (ends_in_a_line(text) && !entries.empty()) {
    parser.notes.push_back(fmt::format("the text ends in line {}", lines.size()));
    if (lines.back().find(entries.back().text) != std::string_view::npos) entries.back().text.clear();
  }
  if (entries.empty())
    return bad_text(kWhat, 1, 1, "no bus \"-[0000:00]-\" with a device is in it", "paste the whole output of lspci -tv");
  for (auto& entry : entries) {
    read_ids(entry);
    if (entry.is_bridge) entry.device.class_code = kPciBridge;
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.device.address < b.device.address; });
  entries.erase(std::unique(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.device.address == b.device.address; }), entries.end());
  Machine m;
  m.notes = std::move(parser.notes);
  for (const auto& entry : entries) add_device(m, entry);
  return m;
}

}  // namespace numapin
