#include "files/follow_links.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"

namespace numapin {
namespace {

// Names still to walk, the next one at the back.
void push_names(std::vector<std::string>& todo, std::string_view path) {
  const auto names = split(path, '/');
  todo.insert(todo.end(), names.rbegin(), names.rend());
}

void go_up(std::string& path) { path.resize(path.empty() ? 0 : path.rfind('/')); }

}  // namespace

Result<std::string> follow_links(std::string_view path, std::string_view verb, const LinkLookup& lookup) {
  std::vector<std::string> todo;
  push_names(todo, path);
  std::string at;  // "" is the root
  for (int links = 0; !todo.empty();) {
    const auto name = std::move(todo.back());
    todo.pop_back();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      go_up(at);
      continue;
    }
    auto next = at + "/" + name;
    NUMAPIN_TRY(const auto target, lookup(next));
    if (!target) {
      at = std::move(next);
      continue;
    }
    if (++links > kMaxLinks)
      return fail(Error::Kind::kSystem, fmt::format("{} {}: too many levels of symbolic links", verb, path));
    if (target->starts_with('/')) at.clear();
    push_names(todo, *target);
  }
  return at.empty() ? "/" : at;
}

std::string normal_path(std::string_view path) {
  std::string out;
  for (const auto name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") go_up(out);
    else out.append("/").append(name);
  }
  return out.empty() ? "/" : out;
}

}  // namespace numapin
