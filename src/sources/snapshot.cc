// A snapshot is what the sources read of a tree, found out by running them: no list of files to keep in step with them.
#include <fmt/format.h>

#include <optional>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "files/follow_links.h"
#include "numapin/sources.h"
#include "sources/anonymize.h"
#include "sources/recorded.h"
#include "sources/snapshot_text.h"

namespace numapin {
namespace {

// ---- from questions to a tree ----------------------------------------------------------------------------------------

/// Turns the questions of a recording into what is known of the tree, every path without links.
class Mapper {
 public:
  explicit Mapper(const FileTree& tree) : tree_(tree), self_(tree.resolve("/proc/self")) {}

  KnownTree map(const RecordingTree::Record& record) {
    for (const auto& [path, answer] : record.reads) {
      const auto at = walk(path);
      if (!at) continue;
      if (answer) known_.files[*at] = *answer;
      else fail_at(*at, answer.error().kind);
    }
    for (const auto& [path, answer] : record.lists) {
      const auto at = walk(path);
      if (!at) continue;
      if (answer) known_.lists[*at] = *answer;
      else fail_at(*at, answer.error().kind);
    }
    for (const auto& [path, answer] : record.resolves)
      if (const auto at = walk(path)) known_.places.insert(*at);
    tidy();
    return std::move(known_);
  }

 private:
  // Where the path leads, noting links on the way; nothing when it leads nowhere, which is noted too.
  std::optional<std::string> walk(std::string_view path) {
    const auto lookup = [&](const std::string& step) -> Result<std::optional<std::string>> {
      if (step == "/proc/self") return std::nullopt;
      const auto& real = resolve(step);
      if (!real) {
        fail_at(step, real.error().kind);
        return Unexpected(real.error());
      }
      if (*real == step) return std::nullopt;
      known_.links[step] = *real;
      return *real;
    };
    auto at = follow_links(path, "record", lookup);
    if (!at) return std::nullopt;
    return *at == "/" ? std::string() : std::move(*at);
  }

  const Result<std::string>& resolve(const std::string& path) {
    const auto known = resolved_.find(path);
    if (known != resolved_.end()) return known->second;
    auto real = tree_.resolve(path);
    if (real && self_ && real->starts_with(*self_ + "/")) *real = "/proc/self" + real->substr(self_->size());
    return resolved_.emplace(path, std::move(real)).first->second;
  }

  void fail_at(const std::string& path, Error::Kind kind) {
    if (kind != Error::Kind::kNotRecorded) known_.failures.emplace(path, kind);
  }

  // A thing that could be read or listed has not failed; a place is told only where nothing else tells it.
  void tidy() {
    std::erase_if(known_.failures, [&](const auto& f) { return known_.files.contains(f.first) || known_.lists.contains(f.first); });
    std::set<std::string> told;
    for (const auto& [path, content] : known_.files) add_with_parents(told, path);
    for (const auto& [path, names] : known_.lists) add_with_parents(told, path);
    for (const auto& [path, target] : known_.links) {
      add_with_parents(told, path);
      add_with_parents(told, target);
    }
    for (const auto& [path, kind] : known_.failures)
      add_with_parents(told, kind == Error::Kind::kNotFound ? path.substr(0, path.rfind('/')) : path);
    std::erase_if(known_.places, [&](const std::string& path) { return path.empty() || told.contains(path); });
  }

  static void add_with_parents(std::set<std::string>& told, std::string path) {
    for (; !path.empty() && told.insert(path).second; path.erase(path.rfind('/'))) {}
  }

  const FileTree& tree_;
  // The process that records is no part of the machine: /proc/self stays, and its number comes into no path.
  Result<std::string> self_;
  std::map<std::string, Result<std::string>> resolved_;
  KnownTree known_;
};

// ---- what is too long to keep, or says nothing of the machine --------------------------------------------------------

/// The keys of a block of "key : value" lines.
std::string keys_of(const std::vector<std::string_view>& block) {
  std::string keys;
  for (const auto line : block) keys.append(trim(line.substr(0, line.find(':')))).append("\n");
  return keys;
}

/// /proc/cpuinfo has a block a CPU, 1.5 KB each; blocks with the keys of an earlier one are left out. The list of CPUs
/// is in sysfs.
std::string shorten_cpuinfo(std::string_view text) {
  std::string out;
  std::set<std::string> seen;
  std::vector<std::string_view> block;
  const auto flush = [&] {
    if (!block.empty() && seen.insert(keys_of(block)).second) {
      for (const auto line : block) out.append(line).append("\n");
      out += "\n";
    }
    block.clear();
  };
  for (const auto line : split_lines(text)) {
    if (trim(line).empty()) flush();
    else block.push_back(line);
  }
  flush();
  return out;
}

/// The lines on CPUs and nodes; the others are about the process that records (number, user, memory).
std::string shorten_status(std::string_view text) {
  std::string out;
  for (const auto line : split_lines(text))
    if (line.starts_with("Cpus_allowed") || line.starts_with("Mems_allowed")) out.append(line).append("\n");
  return out;
}

void shorten(KnownTree& tree) {
  if (const auto f = tree.files.find("/proc/self/status"); f != tree.files.end()) f->second = shorten_status(f->second);
  const auto cpuinfo = tree.files.find("/proc/cpuinfo");
  if (cpuinfo != tree.files.end() && tree.files.contains("/sys/devices/system/cpu/online"))
    cpuinfo->second = shorten_cpuinfo(cpuinfo->second);
}

// ---- without names ---------------------------------------------------------------------------------------------------

constexpr std::string_view kHostName = "/proc/sys/kernel/hostname";

/// In the order of the text, so that numbers run with it.
KnownTree anonymize(const KnownTree& tree, Anonymizer& names) {
  KnownTree out;
  for (const auto& [path, content] : tree.files) out.files[names.path(path)] = names.content(path, content);
  for (const auto& [path, target] : tree.links) out.links[names.path(path)] = names.path(target);
  for (const auto& [path, kind] : tree.failures) out.failures[names.path(path)] = kind;
  for (const auto& path : tree.places) out.places.insert(names.path(path));
  for (const auto& [path, list] : tree.lists) {
    auto& renamed = out.lists[names.path(path)];
    for (const auto& name : list) renamed.push_back(names.path(name));
  }
  return out;
}

constexpr std::size_t kUuidLength = 40;  // "GPU-" or "MIG-", then 36 characters

/// CUDA takes the beginning of a UUID: it is written out, so that it stays what it is when the UUIDs are replaced. A
/// beginning of none or of several becomes one that no device has.
std::string with_whole_uuids(std::string_view visible, const std::set<std::string>& uuids) {
  std::vector<std::string> out;
  for (const auto part : split(visible, ',')) {
    const auto id = std::string(trim(part));
    const bool beginning = (id.starts_with("GPU-") || id.starts_with("MIG-")) && id.size() < kUuidLength;
    if (!beginning) {
      out.emplace_back(part);
      continue;
    }
    const auto first = uuids.lower_bound(id);
    const auto fits = [&](auto it) { return it != uuids.end() && it->starts_with(id); };
    if (fits(first) && !fits(std::next(first))) out.push_back(*first);
    else out.push_back(id.substr(0, 4) + "unknown");
  }
  return join(out, ",");
}

/// Every "GPU-..." and "MIG-..." in the files.
std::set<std::string> device_uuids(const KnownTree& tree) {
  std::set<std::string> out;
  for (const auto& [path, content] : tree.files)
    for (const std::string_view kind : {"GPU-", "MIG-"})
      for (auto at = content.find(kind); at != content.npos; at = content.find(kind, at + 1))
        if (content.size() - at >= kUuidLength) out.insert(content.substr(at, kUuidLength));
  return out;
}

void add_ours(KnownTree& tree, std::string_view path, std::string content) {
  tree.failures.erase(std::string(path.substr(0, path.rfind('/'))));  // asked for, and not there
  tree.failures.erase(std::string(path));
  tree.files[std::string(path)] = std::move(content);
}

}  // namespace

Result<std::string> make_snapshot(const FileTree& tree, const NvmlApi* nvml, const SnapshotOptions& options) {
  const RecordingTree recording(tree);
  NUMAPIN_CHECK_OK(discover(recording, nullptr));
  auto known = Mapper(tree).map(recording.record());
  if (nvml != nullptr) add_ours(known, kRecordedNvml, write_nvml_facts(from_nvml(*nvml)));
  auto environment = options.visible_env;
  if (!options.keep_ids) {
    const auto uuids = device_uuids(known);
    for (auto& [name, value] : environment) value = with_whole_uuids(value, uuids);
  }
  if (!environment.empty()) add_ours(known, kRecordedEnvironment, write_environment(environment));
  shorten(known);
  if (options.keep_ids) return write_snapshot(known, "names and ids as they are");
  const auto host = known.files.find(std::string(kHostName));
  Anonymizer names(host == known.files.end() ? std::string_view() : trim(host->second));
  known = anonymize(known, names);
  return write_snapshot(known, names.summary());
}

Result<std::unique_ptr<FileTree>> make_snapshot_tree(std::string_view text, const std::string& name) {
  NUMAPIN_TRY(auto tree, parse_snapshot(text, name));
  return tree;
}

}  // namespace numapin
