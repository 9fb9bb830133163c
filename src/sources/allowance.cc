// What a process may use: /proc/PID/status, and for recordings without it the cpuset files of its cgroup.
#include "base/text.h"
#include "numapin/sources.h"
#include "sources/cgroup.h"
#include "sources/read.h"

namespace numapin {
namespace {

using sources::field;
using sources::read_text;

/// The cgroup's path: of the cpuset controller (v1) where there is one, else of the unified hierarchy.
std::string cgroup_path(const FileTree& tree, const std::string& proc) {
  const auto text = read_text(tree, proc + "/cgroup").value_or("");
  std::string unified;
  for (const auto line : split_lines(text)) {  // "4:cpuset:/job", "0::/user.slice"; the path may hold colons
    const auto first = line.find(':');
    const auto second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const auto path = std::string(line.substr(second + 1));
    for (const auto controller : split(line.substr(first + 1, second - first - 1), ','))
      if (controller == "cpuset") return path;
    if (second == first + 1) unified = path;
  }
  if (!unified.empty()) return unified;
  return read_text(tree, proc + "/cpuset").value_or("");
}

/// Where a hierarchy with cpusets may be mounted: cgroup v1 with that controller, the old cpuset file system, cgroup v2.
std::vector<std::string> cpuset_mounts(const FileTree& tree, const std::string& proc) {
  auto text = read_text(tree, proc + "/mounts");
  if (!text) text = read_text(tree, "/proc/mounts");
  std::vector<std::string> v1, v2;
  if (!text) return v1;
  for (const auto line : split_lines(*text)) {
    const auto words = split_words(line);
    if (words.size() < 4) continue;
    if (words[2] == "cgroup2") v2.emplace_back(words[1]);
    bool has_cpuset = words[2] == "cpuset";
    for (const auto option : split(words[3], ',')) has_cpuset = has_cpuset || (words[2] == "cgroup" && option == "cpuset");
    if (has_cpuset) v1.emplace_back(words[1]);
  }
  v1.insert(v1.end(), v2.begin(), v2.end());
  return v1;
}

/// A cgroup without the file has its parent's limits. Empty is no limit.
template <class Set>
Fact<Set> read_cpuset(const FileTree& tree, const std::vector<std::string>& mounts, const std::string& cgroup,
                      std::initializer_list<const char*> files) {
  for (const auto& mount : mounts) {
    for (auto path = cgroup == "/" ? "" : cgroup;; path.erase(path.rfind('/'))) {
      for (const auto* file : files) {
        const auto text = read_text(tree, mount + path + "/" + file);
        if (!text || text->empty()) continue;
        if (auto set = Set::parse(*text)) return {*set, Source::kProcfs};
      }
      if (path.empty() || path.rfind('/') == path.npos) break;
    }
  }
  return {};
}

template <class Set>
Fact<Set> parse_line(std::string_view status, std::string_view list_key, std::string_view mask_key) {
  if (const auto text = field(status, list_key))
    if (auto set = Set::parse(*text)) return {*set, Source::kProcfs};
  if (const auto text = field(status, mask_key))  // before Linux 2.6.26 only the masks
    if (auto set = Set::parse_mask(*text)) return {*set, Source::kProcfs};
  return {};
}

/// "effective" of v2 and of v1 is what holds; names without "cpuset." come from mounts with noprefix.
void add_cpuset(const FileTree& tree, const std::string& proc, Allowance& a) {
  const auto mounts = cpuset_mounts(tree, proc);
  if (!a.cpus)
    a.cpus = read_cpuset<CpuSet>(tree, mounts, a.cgroup,
                                 {"cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus", "cpus"});
  if (!a.mems)
    a.mems = read_cpuset<NodeSet>(tree, mounts, a.cgroup,
                                  {"cpuset.mems.effective", "cpuset.effective_mems", "cpuset.mems", "mems"});
}

}  // namespace

Fact<CpuSet> read_cgroup_cpus(const FileTree& tree, std::string_view pid) {
  const auto proc = "/proc/" + std::string(pid);
  Allowance a;
  a.cgroup = cgroup_path(tree, proc);
  if (a.cgroup.empty() || a.cgroup == "/") return {};
  add_cpuset(tree, proc, a);
  return a.cpus;
}

Allowance read_cgroup_allowance(const FileTree& tree, const std::string& cgroup) {
  Allowance a;
  a.cgroup = cgroup;
  add_cpuset(tree, "/proc/self", a);
  return a;
}

Allowance read_allowance(const FileTree& tree, std::string_view pid) {
  const auto proc = "/proc/" + std::string(pid);
  Allowance a;
  a.cgroup = cgroup_path(tree, proc);
  if (const auto status = tree.read(proc + "/status")) {
    a.cpus = parse_line<CpuSet>(*status, "Cpus_allowed_list", "Cpus_allowed");
    a.mems = parse_line<NodeSet>(*status, "Mems_allowed_list", "Mems_allowed");
  }
  if ((a.cpus && a.mems) || a.cgroup.empty()) return a;
  add_cpuset(tree, proc, a);
  return a;
}

}  // namespace numapin
