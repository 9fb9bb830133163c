#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/file_tree.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using Kind = Error::Kind;

template <class T>
Kind kind(const Result<T>& r) {
  EXPECT_FALSE(r) << "an error was expected";
  return r ? Kind::kBadInput : r.error().kind;
}

// The shape of sysfs: /sys/bus/.../devices/ADDRESS is a link into /sys/devices.
MapTree sysfs() {
  MapTree t;
  t.add_file("/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/vendor", "0x10de\n");
  t.add_link("/sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
  t.add_link("/sys/class/drm/card0", "/sys/bus/pci/devices/0000:01:00.0");
  t.add_dir("/sys/empty");
  return t;
}

TEST(MapTree, FollowsLinksRelativeAndAbsolute) {
  const auto t = sysfs();
  EXPECT_EQ(t.read("/sys/bus/pci/devices/0000:01:00.0/vendor"), "0x10de\n");
  EXPECT_EQ(t.read("/sys/class/drm/card0/vendor"), "0x10de\n");
  EXPECT_EQ(t.read("/sys/class/drm/card0/../0000:01:00.0/vendor"), "0x10de\n") << "\"..\" after the link is followed";
  EXPECT_EQ(t.resolve("/sys/class/drm/card0"), "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
  EXPECT_EQ(t.resolve("/"), "/");
}

TEST(MapTree, ListsSortedNamesWithLinksAndEmptyDirectories) {
  const auto t = sysfs();
  EXPECT_THAT(*t.list("/sys"), ElementsAre("bus", "class", "devices", "empty"));
  EXPECT_THAT(*t.list("/sys/class/drm"), ElementsAre("card0"));
  EXPECT_THAT(*t.list("/sys/class/drm/card0/"), ElementsAre("vendor"));
  EXPECT_THAT(*t.list("/sys/empty"), ElementsAre());
  EXPECT_THAT(*MapTree().list("/"), ElementsAre());
}

TEST(MapTree, TellsWhatIsMissing) {
  const auto t = sysfs();
  EXPECT_EQ(kind(t.read("/sys/nothing")), Kind::kNotFound);
  EXPECT_EQ(t.read("/sys/nothing").error().message, "read /sys/nothing: No such file or directory");
  EXPECT_EQ(kind(t.list("/sys/class/drm/card0/vendor")), Kind::kNotFound);
  EXPECT_EQ(kind(t.read("/sys/class/drm/card0/vendor/below")), Kind::kNotFound);
  EXPECT_EQ(kind(t.read("/sys/class")), Kind::kSystem) << "a directory";
}

TEST(MapTree, EndsCircularLinks) {
  MapTree t;
  t.add_link("/a", "b");
  t.add_link("/b", "a");
  EXPECT_EQ(kind(t.read("/a")), Kind::kSystem);
}

TEST(MapTree, NeverLeavesItsRoot) {
  MapTree t;
  t.add_file("/etc/passwd", "inside");
  t.add_link("/sys/up", "../../../../etc/passwd");
  EXPECT_EQ(t.read("/sys/up"), "inside");
  EXPECT_EQ(t.read("/../../etc/passwd"), "inside");
}

TEST(MapTree, KeepsDirectoriesThatHoldSomething) {
  MapTree t;
  t.add_file("/a/b", "1");
  t.add_link("/a", "/c");  // contradicts what is below /a
  t.add_file("/a", "2");
  EXPECT_EQ(t.read("/a/b"), "1");
  t.add_link("/l", "/a");
  t.add_file("/l/x", "3");  // a directory after all
  EXPECT_EQ(t.read("/l/x"), "3");
  EXPECT_THAT(*t.list("/l"), ElementsAre("x"));
  t.add_file("/a/b", "4");
  EXPECT_EQ(t.read("/a/b"), "4") << "the later file wins";
}

TEST(MapTree, RepeatsFailures) {
  MapTree t;
  t.add_failure("/sys/class/net/eth0/speed", Kind::kSystem);  // EINVAL while the link is down
  t.add_failure("/proc/1/numa_maps", Kind::kDenied);
  t.add_failure("/proc/driver", Kind::kNotFound);
  EXPECT_EQ(kind(t.read("/sys/class/net/eth0/speed")), Kind::kSystem);
  EXPECT_THAT(*t.list("/sys/class/net/eth0"), ElementsAre("speed"));
  EXPECT_EQ(kind(t.read("/proc/1/numa_maps")), Kind::kDenied);
  EXPECT_EQ(t.resolve("/proc/1/numa_maps"), "/proc/1/numa_maps");
  EXPECT_EQ(kind(t.list("/proc/driver/nvidia/gpus")), Kind::kNotFound);
  EXPECT_THAT(*t.list("/proc"), ElementsAre("1"));
}

TEST(MapTreeStrict, TellsAbsentFromNeverAskedFor) {
  MapTree t;
  t.set_strict(true);
  t.add_file("/sys/a/known", "1");
  t.add_failure("/sys/a/gone", Kind::kNotFound);
  t.add_listing("/sys/full", {"x", "y"});
  t.add_file("/sys/full/x", "2");
  EXPECT_EQ(t.read("/sys/a/known"), "1");
  EXPECT_EQ(kind(t.read("/sys/a/gone")), Kind::kNotFound);
  EXPECT_EQ(kind(t.read("/sys/a/gone/below")), Kind::kNotFound);
  EXPECT_EQ(kind(t.read("/sys/a/other")), Kind::kNotRecorded);
  EXPECT_EQ(kind(t.list("/sys/a")), Kind::kNotRecorded);
  EXPECT_EQ(kind(t.resolve("/proc")), Kind::kNotRecorded);
  EXPECT_EQ(kind(t.read("/sys/full/y")), Kind::kNotRecorded) << "it is there, but nobody looked into it";
  EXPECT_EQ(kind(t.read("/sys/full/z")), Kind::kNotFound) << "the names of the directory are known";
  EXPECT_THAT(*t.list("/sys/full"), ElementsAre("x", "y"));
}

TEST(RecordingTree, RemembersAnswersAndFailures) {
  const auto inner = sysfs();
  const RecordingTree t(inner);
  EXPECT_EQ(t.read("/sys/class/drm/card0/vendor"), "0x10de\n");
  EXPECT_EQ(kind(t.read("/nothing")), Kind::kNotFound);
  EXPECT_THAT(*t.list("/sys/class"), ElementsAre("drm"));
  EXPECT_TRUE(t.resolve("/sys/class/drm/card0"));
  EXPECT_EQ(t.record().reads.size(), 2U);
  EXPECT_EQ(kind(t.record().reads.at("/nothing")), Kind::kNotFound);
  EXPECT_EQ(t.record().lists.size(), 1U);
  EXPECT_EQ(t.record().resolves.size(), 1U);
}

// A file whose content changes, as /proc/meminfo does.
class Counter final : public FileTree {
 public:
  Result<std::string> read(std::string_view) const override { return std::to_string(++n_); }
  Result<std::vector<std::string>> list(std::string_view) const override { return std::vector<std::string>{}; }
  Result<std::string> resolve(std::string_view path) const override { return std::string(path); }

 private:
  mutable int n_ = 0;
};

TEST(RecordingTree, GivesTheFirstAnswerAgain) {
  const Counter inner;
  const RecordingTree t(inner);
  EXPECT_EQ(t.read("/x"), "1");
  EXPECT_EQ(t.read("/x"), "1");
  EXPECT_EQ(t.read("/y"), "2");
}

}  // namespace
}  // namespace numapin
