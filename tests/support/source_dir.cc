#include "source_dir.h"

#include <cstdlib>

namespace numapin::test {

std::filesystem::path source_dir() { return NUMAPIN_SOURCE_DIR; }

std::optional<std::filesystem::path> corpus_dir() {
  const char* named = std::getenv("NUMAPIN_CORPUS");
  const auto dir = named != nullptr ? std::filesystem::path(named) : source_dir() / ".." / "shared" / "corpus";
  if (!std::filesystem::is_directory(dir)) return std::nullopt;
  return dir;
}

}  // namespace numapin::test
