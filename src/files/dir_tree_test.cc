#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "numapin/file_tree.h"

namespace numapin {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using Kind = Error::Kind;

class DirTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "numapin-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    root_ = top_ / "root";
    fs::create_directories(root_);
    write(top_ / "secret", "outside");
  }
  void TearDown() override { fs::remove_all(top_); }

  static void write(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  fs::path top_, root_;
};

template <class T>
Kind kind(const Result<T>& r) {
  EXPECT_FALSE(r) << "an error was expected";
  return r ? Kind::kBadInput : r.error().kind;
}

TEST_F(DirTreeTest, ReadsListsAndResolvesBelowItsRoot) {
  write(root_ / "sys/devices/a/vendor", "0x10de\n");
  write(root_ / "sys/devices/a/.hidden", "");
  fs::create_directories(root_ / "sys/bus");
  fs::create_symlink("../devices/a", root_ / "sys/bus/rel");
  fs::create_symlink("/sys/devices/a", root_ / "sys/bus/abs");
  const auto t = make_dir_tree(root_);
  EXPECT_EQ(t->read("/sys/bus/rel/vendor"), "0x10de\n");
  EXPECT_EQ(t->read("/sys/bus/abs/vendor"), "0x10de\n");
  EXPECT_EQ(t->resolve("/sys/bus/abs/../a"), "/sys/devices/a");
  EXPECT_EQ(t->resolve("/"), "/");
  EXPECT_THAT(*t->list("/sys/bus/rel"), ElementsAre(".hidden", "vendor"));
  EXPECT_THAT(*t->list("/sys/bus"), ElementsAre("abs", "rel"));
}

TEST_F(DirTreeTest, NeverLeavesItsRoot) {
  write(root_ / "file", "inside");
  fs::create_symlink(top_ / "secret", root_ / "absolute");
  fs::create_symlink("../secret", root_ / "relative");
  fs::create_symlink("..", root_ / "up");
  const auto t = make_dir_tree(root_);
  EXPECT_EQ(kind(t->read("/absolute")), Kind::kNotFound);
  EXPECT_EQ(kind(t->read("/relative")), Kind::kNotFound);
  EXPECT_EQ(kind(t->read("/../secret")), Kind::kNotFound);
  EXPECT_EQ(kind(t->read("/up/secret")), Kind::kNotFound);
  EXPECT_EQ(t->read("/up/file"), "inside");
}

TEST_F(DirTreeTest, DoesNotHangOnWhatIsNoFile) {
  ASSERT_EQ(::mkfifo((root_ / "fifo").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  (root_ / "socket").string().copy(name.sun_path, sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  const auto t = make_dir_tree(root_);
  EXPECT_EQ(kind(t->read("/fifo")), Kind::kSystem);
  EXPECT_EQ(kind(t->read("/socket")), Kind::kSystem);
  EXPECT_EQ(kind(t->read("/")), Kind::kSystem);
  EXPECT_EQ(kind(t->list("/fifo")), Kind::kNotFound);
  ::close(socket);
}

TEST_F(DirTreeTest, EndsCircularLinks) {
  fs::create_symlink("b", root_ / "a");
  fs::create_symlink("a", root_ / "b");
  EXPECT_EQ(kind(make_dir_tree(root_)->read("/a")), Kind::kSystem);
}

TEST_F(DirTreeTest, BoundsTheSizeOfAFile) {
  write(root_ / "large", "");
  fs::resize_file(root_ / "large", (std::uintmax_t{256} << 20) + 1);
  const auto large = make_dir_tree(root_)->read("/large");
  ASSERT_FALSE(large);
  EXPECT_THAT(large.error().message, testing::HasSubstr("larger than 256 MiB"));
  fs::resize_file(root_ / "large", 100000);
  EXPECT_EQ(make_dir_tree(root_)->read("/large")->size(), 100000U);
}

TEST_F(DirTreeTest, NamesTheRealFileInErrors) {
  const auto t = make_dir_tree(root_);
  EXPECT_EQ(t->read("/sys/x").error().message, "read " + root_.string() + "/sys/x: No such file or directory");
  EXPECT_EQ(kind(make_dir_tree(top_ / "absent")->read("/x")), Kind::kNotFound);
}

TEST_F(DirTreeTest, TellsDeniedFromAbsent) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  write(root_ / "closed", "");
  ::chmod((root_ / "closed").c_str(), 0);
  EXPECT_EQ(kind(make_dir_tree(root_)->read("/closed")), Kind::kDenied);
}

TEST(LiveTree, ReadsKernelFilesOfEverySize) {
  const auto t = make_dir_tree("/");
  const auto online = t->read("/sys/devices/system/cpu/online");
  ASSERT_TRUE(online) << online.error().message;
  EXPECT_EQ(online->back(), '\n');
  const auto maps = t->read("/proc/self/smaps");  // longer than one read of a seq_file gives
  ASSERT_TRUE(maps) << maps.error().message;
  EXPECT_GT(maps->size(), 8192U);
  EXPECT_THAT(*t->list("/sys/devices/system"), Contains("cpu"));
  EXPECT_EQ(kind(t->read("/sys/devices/system/cpu/none")), Kind::kNotFound);
  EXPECT_EQ(kind(t->read("/sys/devices")), Kind::kSystem);
}

TEST(LiveTree, ResolvesAsTheKernelDoes) {
  const auto t = make_dir_tree("/");
  EXPECT_EQ(t->resolve("/proc/self"), "/proc/" + std::to_string(::getpid()));
  EXPECT_EQ(kind(t->resolve("/proc/self/none")), Kind::kNotFound);
}

}  // namespace
}  // namespace numapin
