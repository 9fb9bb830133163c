#include "corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "support/source_dir.h"

namespace numapin::test {

constexpr std::string_view kExpected = ".expected.json";

std::vector<CorpusCase> corpus_cases(const std::string& kind) {
  std::vector<CorpusCase> cases;
  const auto dir = corpus_dir();
  if (!dir || !std::filesystem::is_directory(*dir / kind)) return cases;
  for (const auto& entry : std::filesystem::directory_iterator(*dir / kind)) {
    const auto file = entry.path().filename().string();
    if (!file.ends_with(kExpected)) continue;
    CorpusCase c;
    c.expected = entry.path();
    c.name = file.substr(0, file.size() - kExpected.size());
    c.data = *dir / kind / read_json(c.expected).at("file").get<std::string>();
    cases.push_back(std::move(c));
  }
  std::sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return cases;
}

std::string test_name(const CorpusCase& c) {
  auto name = c.name;
  std::replace_if(name.begin(), name.end(), [](unsigned char ch) { return std::isalnum(ch) == 0; }, '_');
  return name;
}

nlohmann::json read_json(const std::filesystem::path& path) { return nlohmann::json::parse(read_file(path)); }

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::unique_ptr<FileTree> corpus_tree(const CorpusCase& c) {
  auto tree = make_tar_tree(read_file(c.data), c.name);
  if (!tree) {
    ADD_FAILURE() << tree.error().message;
    return nullptr;
  }
  return std::move(*tree);
}

}  // namespace numapin::test
