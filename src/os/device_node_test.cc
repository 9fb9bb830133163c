#include "os/device_node.h"

#include <gtest/gtest.h>

#include <map>

namespace numapin {
namespace {

/// Just enough of a tree for a layer that does not link the real ones.
class Tree final : public FileTree {
 public:
  std::map<std::string, std::string> files, links;
  std::map<std::string, std::vector<std::string>> dirs;
  Result<std::string> read(std::string_view p) const override { return get(files, p); }
  Result<std::string> resolve(std::string_view p) const override { return get(links, p); }
  Result<std::vector<std::string>> list(std::string_view p) const override { return get(dirs, p); }

 private:
  template <class T>
  static Result<T> get(const std::map<std::string, T>& from, std::string_view p) {
    const auto found = from.find(std::string(p));
    if (found == from.end()) return fail(Error::Kind::kNotFound, "none");
    return found->second;
  }
};

class DeviceNodes : public ::testing::Test {
 protected:
  void SetUp() override {
    tree_.links["/sys/bus/pci/devices/0000:18:00.0"] = "/sys/devices/pci0000:17/0000:17:01.0/0000:18:00.0";
    tree_.files["/sys/devices/pci0000:17/0000:17:01.0/0000:18:00.0/numa_node"] = "1\n";
    tree_.links["/sys/bus/pci/devices/0000:01:00.0"] = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0";
    tree_.files["/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/numa_node"] = "-1\n";
    tree_.files["/sys/devices/system/node/has_memory"] = "0-1\n";
    tree_.links["/sys/class/net/eth0"] = "/sys/devices/pci0000:17/0000:17:01.0/0000:18:00.0/net/eth0";
    tree_.links["/sys/class/net/lo"] = "/sys/devices/virtual/net/lo";
    tree_.links["/sys/class/block/dm-0"] = "/sys/devices/virtual/block/dm-0";
    tree_.dirs["/sys/devices/virtual/block/dm-0/slaves"] = {"nvme0n1"};
    tree_.links["/sys/devices/virtual/block/dm-0/slaves/nvme0n1"] =
        "/sys/devices/pci0000:17/0000:17:01.0/0000:18:00.0/nvme/nvme0/nvme0n1";
  }
  std::string of(std::string_view spec) {
    const auto r = device_nodes(spec, tree_);
    return r ? r->to_list() : r.error().message;
  }
  Tree tree_;
};

TEST_F(DeviceNodes, OfAPciDeviceHoweverWritten) {
  EXPECT_EQ(of("pci:0000:18:00.0"), "1");
  EXPECT_EQ(of("pci:18:00.0"), "1");
  EXPECT_EQ(of("pci:18:00"), "1");
  EXPECT_EQ(of("pci:zz"), "read pci:zz: not a PCI address");
  EXPECT_EQ(of("pci:19:00.0"), "find pci:19:00.0: no such device");
}

TEST_F(DeviceNodes, OfWhatIsAboveANetworkInterface) {
  EXPECT_EQ(of("netdev:eth0"), "1");
  EXPECT_EQ(of("netdev:../x"), "read netdev:../x: not a device's name");
}

TEST_F(DeviceNodes, OfTheDisksBehindAMappedDevice) { EXPECT_EQ(of("block:dm-0"), "1"); }

TEST_F(DeviceNodes, IsUnknownWhereTheKernelSaysMinusOne) {
  EXPECT_EQ(of("pci:01:00.0"), "find the node of pci:01:00.0: the kernel does not know it");
  EXPECT_EQ(device_nodes("netdev:lo", tree_).error().kind, Error::Kind::kUnsupported);
}

TEST_F(DeviceNodes, IsTheOnlyNodeWhereThereIsOne) {
  tree_.files["/sys/devices/system/node/has_memory"] = "0\n";
  EXPECT_EQ(of("pci:01:00.0"), "0");
}

TEST_F(DeviceNodes, OfTheInterfaceTowardsAHost) {
  tree_.files["/sys/devices/system/node/has_memory"] = "0\n";
  EXPECT_EQ(of("ip:127.0.0.1"), "0");  // through lo, which every test machine has
}

}  // namespace
}  // namespace numapin
