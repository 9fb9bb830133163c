#include "sources/xml.h"

#include <algorithm>
#include <vector>

#include "sources/paste.h"

namespace numapin {
namespace {

struct Position {
  int line, column;
};

Position position_of(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line_start = before.rfind('\n');
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(before.size() - (line_start == before.npos ? 0 : line_start + 1)) + 1};
}

/// How deep elements stand in each other, without recursion: a hostile file must not exhaust the stack.
bool is_too_deep(pugi::xml_node root) {
  struct Depth : pugi::xml_tree_walker {
    bool for_each(pugi::xml_node&) override { return depth() < kMaxXmlDepth; }
  } walker;
  return !root.traverse(walker);
}

}  // namespace

Result<void> load_xml(pugi::xml_document& document, std::string_view text, std::string_view what) {
  if (text.size() > kMaxTextBytes) return bad_text(what, 1, 1, "the text is larger than 64 MiB", "");
  const auto loaded = document.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!loaded) {
    const auto at = position_of(text, static_cast<std::size_t>(std::max<std::ptrdiff_t>(loaded.offset, 0)));
    return bad_text(what, at.line, at.column, loaded.description(), "the file may be cut or damaged: export it again");
  }
  if (is_too_deep(document)) return bad_text(what, 1, 1, "elements are nested too deep", "");
  return {};
}

std::string close_open_elements(std::string_view text) {
  std::vector<std::string_view> open;
  std::size_t end = 0;
  for (auto at = text.find('<'); at != text.npos; at = text.find('<', at)) {
    const bool comment = text.substr(at).starts_with("<!--");
    const std::string_view closer = comment ? "-->" : ">";
    const auto close = text.find(closer, at);
    if (close == text.npos) break;
    const auto tag = text.substr(at + 1, close - at - 1);
    end = at = close + closer.size();
    if (comment || tag.starts_with('?') || tag.starts_with('!') || tag.ends_with('/')) continue;
    if (!tag.starts_with('/')) open.push_back(tag.substr(0, tag.find_first_of(" \t\r\n")));
    else if (!open.empty()) open.pop_back();
  }
  std::string out(text.substr(0, end));
  for (; !open.empty(); open.pop_back()) (out += "</").append(open.back()) += '>';
  return out;
}

}  // namespace numapin
