#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "numapin/file_tree.h"
#include "support/source_dir.h"
#include "support/unpacked.h"

namespace numapin {
namespace {

namespace fs = std::filesystem;

std::string file_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> archives() {
  std::vector<fs::path> out;
  const auto corpus = test::corpus_dir();
  for (const auto* folder : {"sysfs", "kfd"}) {
    if (!corpus || !fs::is_directory(*corpus / folder)) continue;
    for (const auto& entry : fs::directory_iterator(*corpus / folder))
      if (entry.path().string().find(".tar.") != std::string::npos) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string answer(const Result<std::string>& r) { return r ? *r : "error " + std::to_string(static_cast<int>(r.error().kind)); }

// tar pads what sysfs made too long (see TarTree); on disk the zeros are still there.
std::string without_zeros(std::string text) {
  const auto end = text.find('\0');
  if (end != text.npos && text.find_first_not_of('\0', end) == text.npos) text.resize(end);
  return text;
}

/// Compares the two trees below `path`; returns how many files were compared.
int compare(const FileTree& disk, const FileTree& tar, const std::string& path) {
  const auto names = disk.list(path);
  const auto same = tar.list(path);
  EXPECT_TRUE(names) << path;
  EXPECT_TRUE(same) << path << ": " << (same ? "" : same.error().message);
  if (!names || !same) return 0;
  EXPECT_EQ(*names, *same) << path;
  int files = 0;
  for (const auto& name : *names) {
    const auto child = path == "/" ? "/" + name : path + "/" + name;
    const auto real = disk.resolve(child);
    EXPECT_EQ(answer(real), answer(tar.resolve(child))) << child;
    if (!real) continue;
    const bool is_link = *real != child;
    if (!is_link && disk.list(child)) {
      files += compare(disk, tar, child);
    } else if (const auto text = disk.read(child)) {
      EXPECT_EQ(without_zeros(*text), answer(tar.read(child))) << child;
      ++files;
    }
  }
  return files;
}

class Archive : public testing::TestWithParam<fs::path> {};

TEST_P(Archive, IsTheTreeThatTarUnpacks) {
  const auto& archive = GetParam();
  const test::Unpacked unpacked(archive);
  ASSERT_TRUE(unpacked.ok()) << "tar(1) could not unpack it";
  const auto name = archive.filename().string();
  const auto expected_name = name.substr(0, name.find(".tar.")) + ".expected.json";
  const auto expected = nlohmann::json::parse(file_bytes(archive.parent_path() / expected_name));
  // The archives of KFD hold no sys/: they are shown from their top, and the answer names the directory of the topology.
  const std::string root = expected.at("kind") == "kfd" ? "." : expected.at("root_in_archive").get<std::string>();
  const auto disk = make_dir_tree(unpacked.top() / root);
  const auto tar = make_tar_tree(file_bytes(archive), name);
  ASSERT_TRUE(tar) << tar.error().message;
  EXPECT_GT(compare(*disk, **tar, "/"), 0);
}

std::string case_name(const testing::TestParamInfo<fs::path>& info) {
  auto name = info.param.filename().string();
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Corpus, Archive, testing::ValuesIn(archives()), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Archive);

TEST(Corpus, IsThere) {
  if (archives().empty()) GTEST_SKIP() << "0 archives compared: ../shared/corpus is absent (or set NUMAPIN_CORPUS)";
}

}  // namespace
}  // namespace numapin
