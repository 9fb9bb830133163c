#include "os/program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace numapin {
namespace {

namespace fs = std::filesystem;

class Programs : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("numapin-program-" + std::to_string(getpid()));
    for (const char* d : {"a", "b", "b/dir"}) fs::create_directories(root_ / d);
    put("a/plain", 0644);
    put("a/tool", 0644);
    put("b/tool", 0755);
    path_ = (root_ / "missing").string() + ':' + (root_ / "a").string() + ':' + (root_ / "b").string();
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& name, mode_t mode) {
    std::ofstream(root_ / name) << "exit 7\n";
    chmod((root_ / name).c_str(), mode);
  }
  fs::path root_;
  std::string path_;
};

TEST_F(Programs, FirstExecutableInPathWins) {
  EXPECT_EQ(find_program("tool", path_).value(), (root_ / "b/tool").string());
}

TEST_F(Programs, ASlashMeansTheFileItself) {
  const auto file = (root_ / "b/tool").string();
  EXPECT_EQ(find_program(file, "").value(), file);
}

TEST_F(Programs, MissingIsNotFound) {
  EXPECT_EQ(find_program("nonesuch", path_).error().kind, Error::Kind::kNotFound);
  EXPECT_EQ(find_program((root_ / "nonesuch").string(), path_).error().kind, Error::Kind::kNotFound);
  EXPECT_EQ(find_program("", path_).error().kind, Error::Kind::kNotFound);
}

TEST_F(Programs, NotExecutableOrADirectoryIsDenied) {
  EXPECT_EQ(find_program("plain", path_).error().kind, Error::Kind::kDenied);
  EXPECT_EQ(find_program("dir", path_).error().kind, Error::Kind::kDenied);
  EXPECT_EQ(find_program((root_ / "b/dir").string(), path_).error().kind, Error::Kind::kDenied);
}

TEST_F(Programs, AScriptWithoutInterpreterLineRunsInTheShell) {
  EXPECT_EXIT(
      {
        (void)become((root_ / "b/tool").string(), {"tool"});
        _exit(99);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace numapin
