// How the file sources read: what is absent, unreadable or nonsense is an unknown fact, not an error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/numbers.h"
#include "numapin/file_tree.h"
#include "numapin/id_set.h"

namespace numapin::sources {

/// The file without the white space around it; nothing when it cannot be read.
std::optional<std::string> read_text(const FileTree& tree, const std::string& path);

template <class Int>
std::optional<Int> read_number(const FileTree& tree, const std::string& path) {
  const auto text = read_text(tree, path);
  return text ? parse_number<Int>(*text) : std::nullopt;
}

/// A CPU set that the kernel prints as a list in one file and as a mask in another; old kernels have the mask only.
std::optional<CpuSet> read_cpus(const FileTree& tree, const std::string& list_path, const std::string& mask_path = {});

/// The numbers N of the entries "PREFIXN" of a directory, in ascending order.
std::vector<int> numbered_entries(const FileTree& tree, const std::string& dir, std::string_view prefix);
std::vector<std::string> entries(const FileTree& tree, const std::string& dir);

/// The value of "KEY : value" (any blanks around the colon) in a text of such lines; nothing if no line has it.
std::optional<std::string> field(std::string_view text, std::string_view key);

/// /proc/cpuinfo up to the first empty line: the first CPU, which stands for all; "" where there is none.
std::string read_first_cpuinfo(const FileTree& tree);

/// Last component of a path.
std::string_view base_name(std::string_view path);

}  // namespace numapin::sources
