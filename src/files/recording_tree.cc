#include "numapin/file_tree.h"

namespace numapin {
namespace {

template <class T, class Ask>
Result<T> remember(std::map<std::string, Result<T>>& answers, std::string_view path, const Ask& ask) {
  const std::string key(path);
  if (const auto known = answers.find(key); known != answers.end()) return known->second;
  return answers.emplace(key, ask()).first->second;
}

}  // namespace

Result<std::string> RecordingTree::read(std::string_view path) const {
  return remember(record_.reads, path, [&] { return inner_.read(path); });
}

Result<std::vector<std::string>> RecordingTree::list(std::string_view path) const {
  return remember(record_.lists, path, [&] { return inner_.list(path); });
}

Result<std::string> RecordingTree::resolve(std::string_view path) const {
  return remember(record_.resolves, path, [&] { return inner_.resolve(path); });
}

}  // namespace numapin
