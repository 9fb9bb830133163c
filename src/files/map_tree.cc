#include <fmt/format.h>

#include "files/follow_links.h"
#include "numapin/file_tree.h"

namespace numapin {
namespace {

// Keys are normal paths, with "" for the root.
std::string key_of(std::string_view path) {
  auto key = normal_path(path);
  if (key == "/") key.clear();
  return key;
}

std::string_view dir_part(std::string_view key) { return key.substr(0, key.rfind('/')); }
std::string_view name_part(std::string_view key) { return key.substr(key.rfind('/') + 1); }

Unexpected failed(Error::Kind kind, std::string_view verb, std::string_view path) {
  const auto error = [&](std::string_view reason, std::string_view hint = "") {
    return fail(kind, fmt::format("{} {}: {}", verb, path, reason), std::string(hint));
  };
  switch (kind) {
    case Error::Kind::kNotFound: return error("No such file or directory");
    case Error::Kind::kDenied: return error("Permission denied");
    case Error::Kind::kNotRecorded:
      return error("the recording has no answer to this", "record the machine again with this version of numapin");
    default: return error("this failed when it was recorded");
  }
}

}  // namespace

MapTree::MapTree(const std::map<std::string, std::string>& files) {
  for (const auto& [path, content] : files) add_file(path, content);
}

MapTree::Entry& MapTree::make_dir(const std::string& key) {
  auto& entry = entries_[key];
  if (entry.type != Entry::Type::kDir) entry = Entry{};
  if (key.empty()) return entry;
  if (auto parent = entries_.find(dir_part(key)); parent != entries_.end() && parent->second.type == Entry::Type::kDir)
    parent->second.names.emplace(name_part(key));
  else
    make_dir(std::string(dir_part(key))).names.emplace(name_part(key));
  return entry;
}

// The entry for `key`, emptied and of the new type; null where a directory with something below it stands already.
MapTree::Entry* MapTree::replace(const std::string& key, Entry::Type type) {
  if (const auto* old = find(key); key.empty() || (old != nullptr && !old->names.empty())) return nullptr;
  auto& entry = make_dir(key);
  entry = Entry{};
  entry.type = type;
  return &entry;
}

void MapTree::add_file(std::string_view path, std::string content) {
  if (auto* entry = replace(key_of(path), Entry::Type::kFile)) entry->text = std::move(content);
}

void MapTree::add_link(std::string_view path, std::string target) {
  if (auto* entry = replace(key_of(path), Entry::Type::kLink)) entry->text = std::move(target);
}

void MapTree::add_dir(std::string_view path) { make_dir(key_of(path)); }

void MapTree::add_listing(std::string_view path, const std::vector<std::string>& names) {
  auto& entry = make_dir(key_of(path));
  entry.names.insert(names.begin(), names.end());
  entry.complete = true;
}

void MapTree::add_failure(std::string_view path, Error::Kind kind) {
  const auto key = key_of(path);
  auto* entry = replace(key, Entry::Type::kFailure);
  if (entry == nullptr) return;
  entry->failure = kind;
  if (kind == Error::Kind::kNotFound) entries_.find(dir_part(key))->second.names.erase(std::string(name_part(key)));
}

const MapTree::Entry* MapTree::find(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

// No entry stands at `key`: is that an answer, or was it never looked at?
Unexpected MapTree::unknown(std::string_view path, std::string_view verb, const std::string& key) const {
  const auto* parent = find(dir_part(key));
  const bool known = !strict_ || parent == nullptr || parent->type == Entry::Type::kFile ||
                     (parent->complete && !parent->names.contains(name_part(key)));
  return failed(known ? Error::Kind::kNotFound : Error::Kind::kNotRecorded, verb, path);
}

// The key of what `path` leads to.
Result<std::string> MapTree::locate(std::string_view path, std::string_view verb) const {
  const auto lookup = [&](const std::string& key) -> Result<std::optional<std::string>> {
    const auto* entry = find(key);
    if (entry == nullptr) return unknown(path, verb, key);
    if (entry->type == Entry::Type::kFailure && entry->failure == Error::Kind::kNotFound)
      return failed(entry->failure, verb, path);
    if (entry->type == Entry::Type::kLink) return entry->text;
    return std::nullopt;
  };
  NUMAPIN_TRY(auto key, follow_links(path, verb, lookup));
  if (key == "/") key.clear();
  return key;
}

Result<std::string> MapTree::read(std::string_view path) const {
  const auto* entry = find(path);  // most paths hold no link, and then one look is enough
  if (entry == nullptr || entry->type != Entry::Type::kFile) {
    NUMAPIN_TRY(const auto key, locate(path, "read"));
    entry = find(key);
  }
  if (entry != nullptr && entry->type == Entry::Type::kFile) return entry->text;
  if (entry != nullptr && entry->type == Entry::Type::kFailure) return failed(entry->failure, "read", path);
  if (strict_ && (entry == nullptr || !entry->complete)) return failed(Error::Kind::kNotRecorded, "read", path);
  return fail(Error::Kind::kSystem, fmt::format("read {}: Is a directory", path));
}

Result<std::vector<std::string>> MapTree::list(std::string_view path) const {
  NUMAPIN_TRY(const auto key, locate(path, "list"));
  const auto* entry = find(key);
  if (entry != nullptr && entry->type == Entry::Type::kFailure) return failed(entry->failure, "list", path);
  if (entry != nullptr && entry->type == Entry::Type::kFile)
    return fail(Error::Kind::kNotFound, fmt::format("list {}: Not a directory", path));
  if (strict_ && (entry == nullptr || !entry->complete)) return failed(Error::Kind::kNotRecorded, "list", path);
  if (entry == nullptr) return std::vector<std::string>{};  // the root of an empty tree
  return std::vector<std::string>(entry->names.begin(), entry->names.end());
}

Result<std::string> MapTree::resolve(std::string_view path) const {
  NUMAPIN_TRY(auto key, locate(path, "resolve"));
  return key.empty() ? "/" : key;
}

}  // namespace numapin
