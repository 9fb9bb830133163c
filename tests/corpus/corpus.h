// The corpus: recorded machines with answers made without this program, in ../shared/corpus. Absent on other machines.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "numapin/file_tree.h"

namespace numapin::test {

struct CorpusCase {
  std::filesystem::path data;      ///< the recording
  std::filesystem::path expected;  ///< NAME.expected.json
  std::string name;                ///< NAME
};
/// gtest prints it as the parameter
inline void PrintTo(const CorpusCase& c, std::ostream* out) { *out << c.name; }

/// The cases of one kind (folder), by name; none where the corpus is absent.
std::vector<CorpusCase> corpus_cases(const std::string& kind);
/// NAME with what gtest does not allow in a test's name replaced by '_'.
std::string test_name(const CorpusCase& c);
/// The whole JSON document beside the recording.
nlohmann::json read_json(const std::filesystem::path& path);
std::string read_file(const std::filesystem::path& path);
/// The archive of a sysfs or kfd case as a tree.
std::unique_ptr<FileTree> corpus_tree(const CorpusCase& c);

}  // namespace numapin::test
