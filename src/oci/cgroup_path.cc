#include "oci/cgroup_path.h"

#include <algorithm>

namespace numapin::oci {
namespace {

/// "a-b.slice" lies in "a.slice" (systemd.slice(5)): "/a.slice/a-b.slice". "-.slice" is the root.
std::string slice_path(std::string_view slice) {
  constexpr std::string_view kSuffix = ".slice";
  if (slice.empty()) return "/system.slice";
  if (slice == "-.slice" || !slice.ends_with(kSuffix)) return "/";
  const auto name = slice.substr(0, slice.size() - kSuffix.size());
  std::string path;
  for (auto dash = name.find('-');; dash = name.find('-', dash + 1)) {
    path += '/' + std::string(name.substr(0, dash)) + std::string(kSuffix);
    if (dash == name.npos) return path;
  }
}

std::string above(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return slash == path.npos || slash == 0 ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

std::string parent_cgroup(std::string_view cgroups_path, std::string_view own) {
  if (cgroups_path.starts_with('/')) return above(cgroups_path);
  if (std::count(cgroups_path.begin(), cgroups_path.end(), ':') == 2) return slice_path(cgroups_path.substr(0, cgroups_path.find(':')));
  const std::string root = own.empty() ? "/" : std::string(own);
  return cgroups_path.empty() ? root : above((root == "/" ? "" : root) + "/" + std::string(cgroups_path));
}

}  // namespace numapin::oci
