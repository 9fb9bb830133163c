// What the numbers in PCI configuration space mean: classes, vendors, and the GPUs people run jobs on.
// Numbers from the PCI ID database (pci-ids.ucw.cz), version 2026.08.22; names as their makers write them, shortened.
#include <algorithm>
#include <iterator>

#include "numapin/machine.h"

namespace numapin {

namespace {

constexpr std::uint16_t kNvidia = 0x10de, kAmd = 0x1002, kIntel = 0x8086;

struct VendorName {
  std::uint16_t vendor;
  std::string_view name;
};
constexpr VendorName kVendors[] = {
    {0x1000, "Broadcom/LSI"}, {kAmd, "AMD"},          {0x1014, "IBM"},        {0x1013, "Cirrus Logic"},
    {0x1022, "AMD"},          {0x102b, "Matrox"},     {0x1028, "Dell"},       {0x103c, "HP"},
    {0x1077, "QLogic"},       {0x10b5, "PLX"},        {kNvidia, "NVIDIA"},    {0x10ec, "Realtek"},
    {0x10ee, "Xilinx"},       {0x1137, "Cisco"},      {0x1179, "Toshiba"},    {0x11f8, "Microchip"},
    {0x1234, "QEMU"},         {0x126f, "Silicon Motion"}, {0x1344, "Micron"}, {0x1414, "Microsoft"},
    {0x1425, "Chelsio"},      {0x144d, "Samsung"},    {0x14e4, "Broadcom"},   {0x1590, "HPE"},
    {0x15ad, "VMware"},       {0x15b3, "Mellanox"},   {0x15b7, "SanDisk"},    {0x177d, "Cavium"},
    {0x17cb, "Qualcomm"},     {0x18ca, "XGI"},        {0x1924, "Solarflare"}, {0x1987, "Phison"},
    {0x19a2, "Emulex"},       {0x19e5, "Huawei"},     {0x1a03, "ASPEED"},     {0x1ae0, "Google"},
    {0x1af4, "Red Hat"},      {0x1b36, "Red Hat"},    {0x1b4b, "Marvell"},    {0x1b96, "Western Digital"},
    {0x1c36, "Annapurna"},    {0x1c58, "HGST"},       {0x1c5c, "SK hynix"},   {0x1cc1, "ADATA"},
    {0x1d0f, "Amazon"},       {0x1d94, "Hygon"},      {0x1da3, "Habana"},     {0x1dd8, "Pensando"},
    {0x1e0f, "KIOXIA"},       {0x1e36, "Enflame"},    {0x1e52, "Tenstorrent"}, {0x1ed5, "Moore Threads"},
    {0x2646, "Kingston"},     {0x80ee, "VirtualBox"}, {kIntel, "Intel"},      {0x9999, "MetaX"},
};

struct DeviceName {
  std::uint16_t vendor, device;
  std::string_view name;
};
constexpr DeviceName kDevices[] = {
    {0x1002, 0x66a0, "Radeon Instinct"},
    {0x1002, 0x66a1, "MI50 / Radeon Pro VII"},
    {0x1002, 0x6860, "MI25"},
    {0x1002, 0x6864, "MI25x2 / Radeon Pro V340"},
    {0x1002, 0x738c, "MI100"},
    {0x1002, 0x738e, "MI100"},
    {0x1002, 0x73a1, "Radeon Pro V620"},
    {0x1002, 0x73a3, "Radeon PRO W6800"},
    {0x1002, 0x7408, "MI250X"},
    {0x1002, 0x740c, "MI250X/MI250"},
    {0x1002, 0x740f, "MI210"},
    {0x1002, 0x7448, "Radeon Pro W7900"},
    {0x1002, 0x744a, "Radeon Pro W7900 Dual Slot"},
    {0x1002, 0x744c, "Radeon RX 7900"},
    {0x1002, 0x745e, "Radeon Pro W7800"},
    {0x1002, 0x7460, "Radeon PRO V710"},
    {0x1002, 0x7461, "Radeon PRO V710"},
    {0x1002, 0x74a0, "MI300A"},
    {0x1002, 0x74a1, "MI300X"},
    {0x1002, 0x74a2, "MI308X"},
    {0x1002, 0x74a5, "MI325X"},
    {0x1002, 0x74a9, "MI300X HF"},
    {0x1002, 0x74b5, "MI300X VF"},
    {0x1002, 0x74b9, "MI325X VF"},
    {0x1002, 0x74bd, "MI300X HF"},
    {0x1002, 0x7550, "Radeon RX 9070"},
    {0x1002, 0x7551, "Radeon AI PRO R9700"},
    {0x1002, 0x75a0, "MI350X"},
    {0x1002, 0x75a3, "MI355X"},
    {0x10de, 0x15f7, "P100 PCIe 12GB"},
    {0x10de, 0x15f8, "P100 PCIe 16GB"},
    {0x10de, 0x15f9, "P100 SXM2 16GB"},
    {0x10de, 0x1b38, "P40"},
    {0x10de, 0x1bb3, "P4"},
    {0x10de, 0x1bb4, "P6"},
    {0x10de, 0x1d81, "TITAN V"},
    {0x10de, 0x1db1, "V100 SXM2 16GB"},
    {0x10de, 0x1db2, "V100 DGXS 16GB"},
    {0x10de, 0x1db3, "V100 FHHL 16GB"},
    {0x10de, 0x1db4, "V100 PCIe 16GB"},
    {0x10de, 0x1db5, "V100 SXM2 32GB"},
    {0x10de, 0x1db6, "V100 PCIe 32GB"},
    {0x10de, 0x1db7, "V100 DGXS 32GB"},
    {0x10de, 0x1db8, "V100 SXM3 32GB"},
    {0x10de, 0x1dba, "Quadro GV100"},
    {0x10de, 0x1df5, "V100 SXM2 16GB"},
    {0x10de, 0x1df6, "V100S PCIe 32GB"},
    {0x10de, 0x1e02, "TITAN RTX"},
    {0x10de, 0x1e30, "Quadro RTX 6000/8000"},
    {0x10de, 0x1e36, "Quadro RTX 6000"},
    {0x10de, 0x1e37, "T10 16GB"},
    {0x10de, 0x1e38, "T40 24GB"},
    {0x10de, 0x1e78, "Quadro RTX 6000/8000"},
    {0x10de, 0x1eb0, "Quadro RTX 5000"},
    {0x10de, 0x1eb1, "Quadro RTX 4000"},
    {0x10de, 0x1eb4, "T4G"},
    {0x10de, 0x1eb8, "T4"},
    {0x10de, 0x20b0, "A100 SXM4 40GB"},
    {0x10de, 0x20b1, "A100 PCIe 40GB"},
    {0x10de, 0x20b2, "A100 SXM4 80GB"},
    {0x10de, 0x20b3, "A100 SXM4 64GB"},
    {0x10de, 0x20b5, "A100 PCIe 80GB"},
    {0x10de, 0x20b7, "A30"},
    {0x10de, 0x20b8, "A100X"},
    {0x10de, 0x20b9, "A30X"},
    {0x10de, 0x20bd, "A800 SXM4 40GB"},
    {0x10de, 0x20f1, "A100 PCIe 40GB"},
    {0x10de, 0x20f3, "A800 SXM4 80GB"},
    {0x10de, 0x20f5, "A800 PCIe 80GB"},
    {0x10de, 0x20f6, "A800 PCIe 40GB"},
    {0x10de, 0x2203, "GeForce RTX 3090 Ti"},
    {0x10de, 0x2204, "GeForce RTX 3090"},
    {0x10de, 0x2230, "RTX A6000"},
    {0x10de, 0x2231, "RTX A5000"},
    {0x10de, 0x2232, "RTX A4500"},
    {0x10de, 0x2233, "RTX A5500"},
    {0x10de, 0x2235, "A40"},
    {0x10de, 0x2236, "A10"},
    {0x10de, 0x2237, "A10G"},
    {0x10de, 0x2238, "A10M"},
    {0x10de, 0x2313, "H100 CNX"},
    {0x10de, 0x2321, "H100 NVL"},
    {0x10de, 0x2322, "H800 PCIe"},
    {0x10de, 0x2324, "H800"},
    {0x10de, 0x2329, "H20"},
    {0x10de, 0x232c, "H20 HBM3e"},
    {0x10de, 0x2330, "H100 SXM5"},
    {0x10de, 0x2331, "H100 PCIe"},
    {0x10de, 0x2335, "H200 SXM"},
    {0x10de, 0x2336, "H100"},
    {0x10de, 0x2337, "H100 SXM5 64GB"},
    {0x10de, 0x2338, "H100 SXM5 96GB"},
    {0x10de, 0x2339, "H100 SXM5 94GB"},
    {0x10de, 0x233b, "H200 NVL"},
    {0x10de, 0x2342, "GH200"},
    {0x10de, 0x2348, "GH200 144GB"},
    {0x10de, 0x24b0, "RTX A4000"},
    {0x10de, 0x25b0, "RTX A1000"},
    {0x10de, 0x25b6, "A2 / A16"},
    {0x10de, 0x2684, "GeForce RTX 4090"},
    {0x10de, 0x2685, "GeForce RTX 4090 D"},
    {0x10de, 0x26b1, "RTX 6000 Ada"},
    {0x10de, 0x26b2, "RTX 5000 Ada"},
    {0x10de, 0x26b3, "RTX 5880 Ada"},
    {0x10de, 0x26b5, "L40"},
    {0x10de, 0x26b8, "L40G"},
    {0x10de, 0x26b9, "L40S"},
    {0x10de, 0x26ba, "L20"},
    {0x10de, 0x27b0, "RTX 4000 SFF Ada"},
    {0x10de, 0x27b1, "RTX 4500 Ada"},
    {0x10de, 0x27b2, "RTX 4000 Ada"},
    {0x10de, 0x27b6, "L2"},
    {0x10de, 0x27b8, "L4"},
    {0x10de, 0x28b0, "RTX 2000 Ada"},
    {0x10de, 0x2901, "B200"},
    {0x10de, 0x2941, "GB200"},
    {0x10de, 0x29bc, "B100"},
    {0x10de, 0x2b85, "GeForce RTX 5090"},
    {0x10de, 0x2b87, "GeForce RTX 5090 D"},
    {0x10de, 0x2bb1, "RTX PRO 6000 Blackwell Workstation"},
    {0x10de, 0x2bb3, "RTX PRO 5000 Blackwell"},
    {0x10de, 0x2bb5, "RTX PRO 6000 Blackwell Server"},
    {0x10de, 0x2bb9, "RTX 6000D"},
    {0x10de, 0x2c02, "GeForce RTX 5080"},
    {0x10de, 0x2c31, "RTX PRO 4500 Blackwell"},
    {0x10de, 0x2c34, "RTX PRO 4000 Blackwell"},
    {0x10de, 0x2e12, "GB10"},
    {0x10de, 0x3182, "B300 SXM6"},
    {0x10de, 0x31c2, "GB300"},
    {0x10de, 0x31c3, "GB300"},
    {0x8086, 0x0b69, "Data Center GPU Max 1450"},
    {0x8086, 0x0b6e, "Data Center GPU Max 1100C"},
    {0x8086, 0x0bd5, "Data Center GPU Max 1550"},
    {0x8086, 0x0bd6, "Data Center GPU Max 1550"},
    {0x8086, 0x0bd7, "Data Center GPU Max 1350"},
    {0x8086, 0x0bd8, "Data Center GPU Max 1350"},
    {0x8086, 0x0bd9, "Data Center GPU Max 1100"},
    {0x8086, 0x0bda, "Data Center GPU Max 1100"},
    {0x8086, 0x0bdb, "Data Center GPU Max 1100"},
    {0x8086, 0x56a0, "Arc A770"},
    {0x8086, 0x56a1, "Arc A750"},
    {0x8086, 0x56a2, "Arc A580"},
    {0x8086, 0x56a5, "Arc A380"},
    {0x8086, 0x56a6, "Arc A310"},
    {0x8086, 0x56b1, "Arc Pro A40/A50"},
    {0x8086, 0x56b3, "Arc Pro A60"},
    {0x8086, 0x56c0, "Data Center GPU Flex 170"},
    {0x8086, 0x56c1, "Data Center GPU Flex 140"},
    {0x8086, 0x56c2, "Data Center GPU Flex 170V"},
    {0x8086, 0xe20b, "Arc B580"},
    {0x8086, 0xe20c, "Arc B570"},
    {0x8086, 0xe211, "Arc Pro B60"},
    {0x8086, 0xe212, "Arc Pro B50"},
};

/// Makers of nothing but consoles and virtual displays: any display of theirs is one.
constexpr std::uint16_t kConsoleVendors[] = {
    0x1013,  // Cirrus Logic: QEMU's old default
    0x102b,  // Matrox G200 in BMCs
    0x1234,  // QEMU and Bochs standard VGA
    0x126f,  // Silicon Motion SM750
    0x1414,  // Hyper-V
    0x15ad,  // VMware SVGA
    0x18ca,  // XGI Volari Z7/Z9 in BMCs
    0x19a2,  // Emulex Pilot BMCs
    0x1a03,  // ASPEED AST BMCs
    0x1ab8,  // Parallels
    0x1af4,  // virtio-gpu
    0x1b36,  // QEMU: QXL; also its pci-testdev, which calls itself a processing accelerator
    0x5333,  // S3
    0x5853,  // Xen
    0x80ee,  // VirtualBox
};

/// Consoles of makers that also make GPUs.
constexpr DeviceName kConsoles[] = {
    {kAmd, 0x4752, "Rage XL"},  {kAmd, 0x474d, "Rage XL"}, {kAmd, 0x474f, "Rage XL"}, {kAmd, 0x4750, "Rage 3D Pro"},
    {kAmd, 0x5159, "RV100"},    {kAmd, 0x515e, "ES1000"},  {0x19e5, 0x1711, "Hi171x"}, {0x1d0f, 0x1111, "EC2 VGA"},
};

const DeviceName* find_device(const DeviceName* first, const DeviceName* last, std::uint16_t vendor,
                              std::uint16_t device) {
  const auto* found =
      std::find_if(first, last, [&](const DeviceName& d) { return d.vendor == vendor && d.device == device; });
  return found == last ? nullptr : found;
}

constexpr std::uint32_t base_class(std::uint32_t class_code) { return class_code >> 16 & 0xff; }
constexpr std::uint32_t sub_class(std::uint32_t class_code) { return class_code >> 8 & 0xffff; }

/// 03 display controllers; 12 processing accelerators (AMD's MI300 and later).
constexpr bool is_display_or_accelerator(std::uint32_t class_code) {
  return base_class(class_code) == 0x03 || base_class(class_code) == 0x12;
}

}  // namespace

bool is_console_or_virtual_vga(std::uint16_t vendor, std::uint16_t device, std::uint32_t class_code) {
  if (base_class(class_code) != 0x03) return false;
  return std::find(std::begin(kConsoleVendors), std::end(kConsoleVendors), vendor) != std::end(kConsoleVendors) ||
         find_device(std::begin(kConsoles), std::end(kConsoles), vendor, device) != nullptr;
}

bool is_bindable_gpu(std::uint16_t vendor, std::uint16_t device, std::uint32_t class_code) {
  return is_display_or_accelerator(class_code) && !is_console_or_virtual_vga(vendor, device, class_code);
}

bool is_nic(std::uint32_t class_code) { return base_class(class_code) == 0x02; }
bool is_nvme(std::uint32_t class_code) { return sub_class(class_code) == 0x0108; }
bool is_bridge(std::uint32_t class_code) {
  return sub_class(class_code) == 0x0604 || sub_class(class_code) == 0x0609;  // PCI to PCI; semi-transparent
}

std::string_view vendor_name(std::uint16_t vendor) {
  for (const auto& row : kVendors)
    if (row.vendor == vendor) return row.name;
  return {};
}

std::string_view device_name(std::uint16_t vendor, std::uint16_t device) {
  const auto* found = find_device(std::begin(kDevices), std::end(kDevices), vendor, device);
  return found ? found->name : std::string_view();
}

}  // namespace numapin
