// Symbolic links followed inside a tree: the one walk that trees without the kernel's help share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/result.h"

namespace numapin {

/// As many symbolic links as the kernel follows in one path (MAXSYMLINKS).
constexpr int kMaxLinks = 40;

/// Looks at one path whose directory part holds no links any more: the link's target, nothing when it is no link, or
/// the Error that ends the walk (the path does not exist).
using LinkLookup = std::function<Result<std::optional<std::string>>(const std::string& path)>;

/// The path with every link followed, ".." kept inside the root: always absolute and without "//", "." and "..".
/// `verb` starts the error when links run in a circle (kSystem).
Result<std::string> follow_links(std::string_view path, std::string_view verb, const LinkLookup& lookup);

/// Lexically: absolute, without "//", "." and ".."; the root is its own parent.
std::string normal_path(std::string_view path);

}  // namespace numapin
