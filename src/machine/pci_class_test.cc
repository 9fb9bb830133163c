#include <gtest/gtest.h>

#include "numapin/machine.h"

namespace numapin {
namespace {

TEST(PciClass, TellsGpusFromConsolesAndVirtualDisplays) {
  EXPECT_TRUE(is_bindable_gpu(0x10de, 0x2330, 0x030200)) << "H100, 3D controller";
  EXPECT_TRUE(is_bindable_gpu(0x1002, 0x740c, 0x038000)) << "MI250X, display controller";
  EXPECT_TRUE(is_bindable_gpu(0x1002, 0x74a1, 0x120000)) << "MI300X, processing accelerator";
  EXPECT_TRUE(is_bindable_gpu(0x8086, 0x0bd5, 0x038000)) << "Max 1550";
  EXPECT_TRUE(is_bindable_gpu(0x10de, 0x2684, 0x030000)) << "a GeForce is a VGA controller, too";
  EXPECT_FALSE(is_bindable_gpu(0x1a03, 0x2000, 0x030000)) << "ASPEED BMC";
  EXPECT_FALSE(is_bindable_gpu(0x102b, 0x0538, 0x030000)) << "Matrox G200eH3";
  EXPECT_FALSE(is_bindable_gpu(0x1002, 0x515e, 0x030000)) << "ATI ES1000";
  EXPECT_FALSE(is_bindable_gpu(0x1af4, 0x1050, 0x030000)) << "virtio";
  // QEMU's pci-testdev in a recorded guest: whoever gives a device the class of an accelerator may bind to it
  EXPECT_TRUE(is_bindable_gpu(0x1b36, 0x0005, 0x120000));
  EXPECT_FALSE(is_bindable_gpu(0x10de, 0x22a3, 0x068000)) << "NVSwitch";
  EXPECT_FALSE(is_bindable_gpu(0x10de, 0x1aef, 0x040300)) << "the audio function of a GPU";
  EXPECT_FALSE(is_console_or_virtual_vga(0x1af4, 0x1000, 0x020000)) << "virtio network is no display";
}

TEST(PciClass, TellsNicsDrivesAndBridges) {
  EXPECT_TRUE(is_nic(0x020000));
  EXPECT_TRUE(is_nic(0x020700)) << "InfiniBand";
  EXPECT_FALSE(is_nic(0x028000 << 8)) << "a shifted class must not be taken for another";
  EXPECT_TRUE(is_nvme(0x010802));
  EXPECT_FALSE(is_nvme(0x010601)) << "SATA";
  EXPECT_TRUE(is_bridge(0x060400));
  EXPECT_FALSE(is_bridge(0x060000)) << "a host bridge has nothing to do with the path";
}

TEST(PciClass, NamesDevices) {
  EXPECT_EQ(device_name(0x10de, 0x2330), "H100 SXM5");
  EXPECT_EQ(device_name(0x1002, 0x75a3), "MI355X");
  EXPECT_EQ(device_name(0x8086, 0x2330), "") << "the same number of another vendor";
  EXPECT_EQ(vendor_name(0x10de), "NVIDIA");
  EXPECT_EQ(vendor_name(0x0001), "");
}

}  // namespace
}  // namespace numapin
