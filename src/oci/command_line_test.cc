#include "oci/command_line.h"

#include <gtest/gtest.h>

#include <vector>

namespace numapin::oci {
namespace {

RuntimeCommand read(std::vector<std::string> words) { return read_command(words); }

TEST(RuntimeCommandLine, FindsTheBundleInEveryForm) {
  const std::vector<std::vector<std::string>> forms = {
      {"run", "-b", "/b", "id"},
      {"run", "-b=/b", "id"},
      {"run", "--b", "/b", "id"},
      {"create", "--bundle", "/b", "id"},
      {"create", "--bundle=/b", "id"},
      {"create", "-bundle", "/b", "id"},
      {"create", "-bundle=/b", "id"},
      {"create", "id", "--bundle", "/b"},
      {"create", "-b/b", "id"},
      {"create", "--bund=/b", "id"},
      {"create", "--bundle", "/elsewhere", "--bundle", "/b", "id"},
      {"--root", "/run/x", "--systemd-cgroup", "create", "--bundle", "/b", "--pid-file", "/p", "id"},
      {"--root=/run/x", "--log", "run", "--log-format", "json", "run", "--no-pivot", "--console-socket", "-b", "-b", "/b", "id"},
      {"--cgroup-manager", "systemd", "--unknown", "run", "--unknown", "-d", "-b", "/b", "id"},
      {"run", "--preserve-fds", "1", "-b", "/b", "--", "id"},
  };
  for (const auto& words : forms) {
    const auto c = read(words);
    EXPECT_TRUE(c.starts_container());
    EXPECT_EQ(c.config_path(), "/b/config.json") << testing::PrintToString(words);
    EXPECT_EQ(c.id, "id") << testing::PrintToString(words);
  }
}

TEST(RuntimeCommandLine, WithoutABundleItIsTheWorkingDirectory) {
  EXPECT_EQ(read({"run", "id"}).config_path(), "./config.json");
  EXPECT_EQ(read({"run", "id", "--", "-b", "/b"}).config_path(), "./config.json");
  EXPECT_EQ(read({"run", "-b"}).config_path(), "./config.json");
}

TEST(RuntimeCommandLine, KnowsWhatStartsAContainer) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{}, {"--version"}, {"state", "run"}, {"exec", "id", "create"},
                                                {"--root", "run", "delete", "id"}, {"--log", "create"}, {""}, {"-"}, {"--"}})
    EXPECT_FALSE(read(words).starts_container()) << testing::PrintToString(words);
}

TEST(RuntimeCommandLine, FindsTheLogForErrors) {
  const auto c = read({"--log=/l", "--log-format=json", "create", "id"});
  EXPECT_EQ(c.log, "/l");
  EXPECT_TRUE(c.json_log);
  EXPECT_FALSE(read({"--log", "/l", "create", "id"}).json_log);
}

TEST(RuntimeCommandLine, FindsCrunsConfiguration) {
  EXPECT_EQ(read({"run", "-b", "/b", "-f", "/other", "id"}).config_path(), "/other");
  EXPECT_EQ(read({"run", "-b", "/b", "--config=config.json", "id"}).config_path(), "/b/config.json");
}

}  // namespace
}  // namespace numapin::oci
