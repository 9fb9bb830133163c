// Where the tests find files of this repository and, if present, the corpus beside it.
#pragma once

#include <filesystem>
#include <optional>

namespace numapin::test {

/// The root of the source tree.
std::filesystem::path source_dir();
/// ../shared/corpus beside the source tree (or $NUMAPIN_CORPUS); nothing when it is absent.
std::optional<std::filesystem::path> corpus_dir();

}  // namespace numapin::test
