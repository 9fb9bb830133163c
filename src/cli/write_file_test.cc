#include "cli/write_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace numapin::cli {
namespace {

namespace fs = std::filesystem;

class WriteFile : public testing::Test {
 protected:
  WriteFile() { fs::create_directories(directory_); }
  ~WriteFile() override { fs::remove_all(directory_); }
  fs::path directory_ = fs::path(testing::TempDir()) / ("numapin-write-" + std::to_string(getpid()));
};

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(WriteFile, ReplacesOnlyWhenAsked) {
  const auto path = (directory_ / "a").string();
  ASSERT_TRUE(write_file(path, "one", false));
  EXPECT_FALSE(write_file(path, "two", false));
  EXPECT_EQ(contents(path), "one");
  ASSERT_TRUE(write_file(path, "two", true));
  EXPECT_EQ(contents(path), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1);  // no temporary file stays
}

TEST_F(WriteFile, WritesIntoAPipeAndLeavesItThere) {
  const auto path = (directory_ / "pipe").string();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reader = open(path.c_str(), O_RDWR | O_NONBLOCK);  // Linux: both ends, so that nobody waits
  ASSERT_GE(reader, 0);
  EXPECT_TRUE(write_file(path, "text", true));
  char buffer[8] = {};
  EXPECT_EQ(read(reader, buffer, sizeof buffer), 4);
  close(reader);
  EXPECT_TRUE(fs::is_fifo(path));
}

}  // namespace
}  // namespace numapin::cli
