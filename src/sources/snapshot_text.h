// The text of a snapshot (docs/snapshot.md): what was read of a tree, written and read back.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/file_tree.h"

namespace numapin {

/// What is known of a tree. Paths hold no links; targets are resolved.
struct KnownTree {
  std::map<std::string, std::string> files;               ///< content
  std::map<std::string, std::string> links;               ///< target
  std::map<std::string, std::vector<std::string>> lists;  ///< every name in a directory
  std::map<std::string, Error::Kind> failures;
  std::set<std::string> places;                           ///< exist; nothing else is known
};

/// The same tree always gives the same text: sorted, numbers by value. `comment` goes below the first line.
std::string write_snapshot(const KnownTree& tree, std::string_view comment);

/// Error: kBadInput with the number of the line.
Result<std::unique_ptr<MapTree>> parse_snapshot(std::string_view text, const std::string& name);

}  // namespace numapin
