// A process as doctor judges it.
#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/sources.h"
#include "sources/container.h"
#include "sources/read.h"
#include "sources/setup.h"

namespace numapin {
namespace {

using sources::field;

/// "NAME=value" ended by NUL
Environment parse_environment(std::string_view text) {
  Environment env;
  for (const auto entry : split(text, '\0'))
    if (const auto equals = entry.find('='); equals != entry.npos) env.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  return env;
}

/// "Max locked memory         8388608              unlimited            bytes": the soft limit
std::optional<std::uint64_t> locked_limit(std::string_view limits) {
  constexpr std::string_view kKey = "Max locked memory";
  for (const auto line : split_lines(limits)) {
    if (!line.starts_with(kKey)) continue;
    const auto words = split_words(line.substr(kKey.size()));
    if (words.empty()) return std::nullopt;
    if (words[0] == "unlimited") return kUnlimited;
    return parse_number<std::uint64_t>(words[0]);
  }
  return std::nullopt;
}

/// "VmHWM:	 1234 kB"
std::optional<std::uint64_t> peak_bytes(std::string_view status) {
  const auto text = field(status, "VmHWM");
  const auto words = text ? split_words(*text) : std::vector<std::string_view>();
  const auto kib = words.empty() ? std::nullopt : parse_number<std::uint64_t>(words[0]);
  if (!kib) return std::nullopt;
  return *kib * 1024;
}

}  // namespace

Result<Subject> read_subject(const FileTree& tree, int pid) {
  Subject s;
  s.kind = Subject::Kind::kProcess;
  NUMAPIN_TRY(s.process, read_process(tree, pid));
  const auto dir = "/proc/" + std::to_string(pid);
  if (const auto env = tree.read(dir + "/environ")) s.env = parse_environment(*env);
  s.cgroup = read_allowance(tree, std::to_string(pid)).cgroup;
  s.container = read_container(tree, pid);
  if (!s.container) s.container = read_own_container(tree, {});  // a process that is seen from inside one
  s.in_container = s.container.has_value();
  if (const auto limits = tree.read(dir + "/limits")) s.locked_limit_bytes = locked_limit(*limits);
  if (const auto status = tree.read(dir + "/status")) s.peak_bytes = peak_bytes(*status);
  for (const auto& [parent, child] : children_by_parent(tree)) {
    if (parent != pid) continue;
    if (auto process = read_process(tree, child, {.threads = true, .memory = false})) s.children.push_back(std::move(*process));
  }
  return s;
}

}  // namespace numapin
