#include "sources/snapshot_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

constexpr std::string_view kFirstLine = "numapin-snapshot ";
constexpr int kVersion = 1;
constexpr std::size_t kMaxPath = 4096;        // PATH_MAX
constexpr long kMaxNames = 1L << 20;          // of all listings: what "[0-999999999]" may unfold to
constexpr std::string_view kDigits = "0123456789";

struct FailureWord {
  Error::Kind kind;
  std::string_view word;
};
constexpr FailureWord kFailureWords[] = {
    {Error::Kind::kNotFound, "absent"}, {Error::Kind::kDenied, "denied"}, {Error::Kind::kSystem, "failed"}};

std::string_view word_of(Error::Kind kind) {
  for (const auto& f : kFailureWords)
    if (f.kind == kind) return f.word;
  return "failed";
}

// ---- characters ------------------------------------------------------------------------------------------------
// Plain ASCII, so that mail, editors and diffs leave it alone; blanks at the end of a line would be lost.

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

std::string escape(std::string_view text, std::string_view also) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if ((is_printable(c) || c == '\t') && also.find(c) == also.npos) out += c;
    else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string escape_line(std::string_view line) {
  const auto end = line.find_last_not_of(" \t") + 1;  // npos + 1: blanks only
  return escape(line.substr(0, end), "") + escape(line.substr(end), " \t");
}

std::string escape_name(std::string_view name) { return escape(name, " \t[]|"); }

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (text.substr(i, 2) == "\\\\") {
      out += '\\';
      ++i;
    } else {
      if (i + 4 > text.size() || text[i + 1] != 'x') return std::nullopt;
      const auto byte = parse_number<unsigned>(text.substr(i + 2, 2), 16);
      if (!byte) return std::nullopt;
      out += static_cast<char>(*byte);
      i += 3;
    }
  }
  return out;
}

// ---- order -----------------------------------------------------------------------------------------------------

/// cpu2 before cpu10: runs of digits by value, then as plain text.
bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, k = 0;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && k < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[k])) {
      if (a[i] != b[k]) return a[i] < b[k];
      ++i, ++k;
      continue;
    }
    const auto run = [](std::string_view s, std::size_t& at) {
      const auto begin = std::min(s.find_first_not_of('0', at), s.size());
      at = std::min(s.find_first_not_of(kDigits, at), s.size());
      return s.substr(std::min(begin, at), at - std::min(begin, at));
    };
    const auto x = run(a, i), y = run(b, k);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  if ((i < a.size()) != (k < b.size())) return k < b.size();
  return a < b;
}

struct NaturalLess {
  bool operator()(std::string_view a, std::string_view b) const { return natural_less(a, b); }
};

// ---- names of a directory --------------------------------------------------------------------------------------

/// "cpu12" is {"cpu", 12}; nothing for names that would not come back the same ("cpu012").
struct Numbered {
  std::string_view prefix;
  long number;
};
std::optional<Numbered> numbered(std::string_view name) {
  const auto at = name.find_last_not_of(kDigits) + 1;
  const auto digits = name.substr(at);
  const auto n = parse_number<int>(digits);
  if (!n || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  return Numbered{name.substr(0, at), *n};
}

/// "cpu[0-255] cpufreq online": three and more in a row become a range.
std::string write_names(std::vector<std::string> names) {
  std::sort(names.begin(), names.end(), NaturalLess());
  std::string out;
  for (std::size_t i = 0; i < names.size();) {
    std::size_t end = i + 1;
    const auto first = numbered(names[i]);
    while (first && end < names.size()) {
      const auto next = numbered(names[end]);
      if (!next || next->prefix != first->prefix || next->number != first->number + static_cast<long>(end - i)) break;
      ++end;
    }
    out += ' ';
    if (end - i >= 3) {
      out += fmt::format("{}[{}-{}]", escape_name(first->prefix), first->number,
                         first->number + static_cast<long>(end - i) - 1);
      i = end;
    } else {
      out += escape_name(names[i++]);
    }
  }
  return out;
}

// ---- writing ---------------------------------------------------------------------------------------------------

/// Directory -> name below it -> rest of the line.
using Blocks = std::map<std::string, std::map<std::string, std::string, NaturalLess>, NaturalLess>;

/// Entries stand under the nearest directory above them that is one of many (its name has a digit: cpu0,
/// 0000:18:00.0, node1), else under their own directory.
void add(Blocks& blocks, const std::string& path, std::string line) {
  const auto dir = path.substr(0, path.rfind('/'));
  auto cut = dir.size();
  if (const auto digit = dir.find_last_of(kDigits); digit != dir.npos) cut = std::min(dir.find('/', digit), dir.size());
  auto& block = blocks[cut == 0 ? "/" : path.substr(0, cut)];
  block.emplace(path.substr(cut + 1), std::move(line));
}

std::string file_line(std::string_view content) {
  const auto lines = split(content, '\n');  // the last one is what follows the last newline
  if (lines.size() == 2 && lines[1].empty()) return lines[0].empty() ? "=" : "= " + escape_line(lines[0]);
  if (lines.size() == 1) return content.empty() ? "~" : "~ " + escape_line(content);
  const bool ends_in_newline = lines.back().empty();
  std::string out = ends_in_newline ? "<" : "<~";
  for (std::size_t i = 0; i < lines.size() - (ends_in_newline ? 1 : 0); ++i) out += "\n  |" + escape_line(lines[i]);
  return out;
}

Blocks make_blocks(const KnownTree& tree) {
  Blocks blocks;
  for (const auto& [path, content] : tree.files) add(blocks, path, file_line(content));
  for (const auto& [path, target] : tree.links) add(blocks, path, "-> " + escape_name(target));
  for (const auto& [path, kind] : tree.failures) add(blocks, path, fmt::format("! {}", word_of(kind)));
  for (const auto& [path, names] : tree.lists) add(blocks, path + "/.", ":" + write_names(names));
  for (const auto& path : tree.places) add(blocks, path, "?");
  return blocks;
}

}  // namespace

std::string write_snapshot(const KnownTree& tree, std::string_view comment) {
  auto out = fmt::format("{}{}\n", kFirstLine, kVersion);
  for (const auto line : split_lines(comment)) out += fmt::format("# {}\n", line);
  for (const auto& [dir, entries] : make_blocks(tree)) {
    out += fmt::format("\n{}\n", escape_name(dir));
    for (const auto& [name, line] : entries) out += fmt::format("  {} {}\n", escape_name(name), line);
  }
  return out;
}

// ---- reading ---------------------------------------------------------------------------------------------------

namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : lines_(split_lines(text)), name_(name) {}

  Result<std::unique_ptr<MapTree>> parse() {
    NUMAPIN_CHECK_OK(first_line());
    tree_->set_strict(true);
    for (at_ = 1; at_ < lines_.size(); ++at_) NUMAPIN_CHECK_OK(line(lines_[at_]));
    // After all else: a directory of which nothing is known must not stand in the way of what is.
    for (const auto& path : places_)
      if (!tree_->resolve(path)) tree_->add_dir(path);
    return std::move(tree_);
  }

 private:
  Unexpected error(std::string_view reason) const {
    return bad_input(fmt::format("open {}: line {}: {}", name_, at_ + 1, reason));
  }

  Result<void> first_line() const {
    auto first = lines_.empty() ? std::string_view() : lines_[0];
    if (!first.starts_with(kFirstLine)) return error("not a snapshot of numapin");
    const auto version = parse_number<int>(trim(first.substr(kFirstLine.size())));
    if (!version || *version < 1) return error("the format's version is not a number");
    if (*version > kVersion)
      return bad_input(fmt::format("open {}: made by a newer numapin (format {}, this one reads up to {})", name_,
                                   *version, kVersion),
                       "update numapin");
    return {};
  }

  Result<void> line(std::string_view text) {
    if (trim(text).empty() || text.starts_with('#')) return {};
    if (text.starts_with('/')) return directory(trim(text));
    if (text.starts_with("  |")) return error("a line of content without a file before it");
    if (!text.starts_with("  ")) return error("neither a path, nor an entry below one");
    if (dir_.empty()) return error("an entry without a directory before it");
    return entry(trim_right(text.substr(2)));
  }

  static std::string_view trim_right(std::string_view s) {
    return s.substr(0, s.find_last_not_of(" \t\r") + 1);
  }

  Result<void> directory(std::string_view text) {
    const auto path = unescape(text);
    if (!path) return error("a malformed \\ sequence");
    if (path->size() > kMaxPath) return error("the path is too long");
    dir_ = *path == "/" ? "/" : *path + "/";
    return {};
  }

  // NAME OPERATOR [REST]
  Result<void> entry(std::string_view text) {
    const auto blank = text.find(' ');
    if (blank == text.npos) return error("'=', '<', '->', '!', ':' or '?' is missing behind the name");
    const auto name = unescape(text.substr(0, blank));
    if (!name) return error("a malformed \\ sequence");
    const auto path = dir_ + *name;
    if (path.size() > kMaxPath) return error("the path is too long");
    text.remove_prefix(blank + 1);
    const auto op = text.substr(0, text.find(' '));
    const auto rest = text.substr(std::min(op.size() + 1, text.size()));
    if (op == "=" || op == "~") return one_line(path, rest, op == "=");
    if (op == "<" || op == "<~") return several_lines(path, op == "<");
    if (op == "->") return link(path, rest);
    if (op == "!") return failure(path, rest);
    if (op == ":") return listing(path, rest);
    if (op == "?") return place(path);
    return error(fmt::format("'{}' is no kind of entry", op.substr(0, 20)));
  }

  Result<void> one_line(const std::string& path, std::string_view rest, bool newline) {
    auto content = unescape(rest);
    if (!content) return error("a malformed \\ sequence");
    tree_->add_file(path, *content + (newline ? "\n" : ""));
    return {};
  }

  Result<void> several_lines(const std::string& path, bool newline) {
    std::string content;
    bool first = true;
    for (; at_ + 1 < lines_.size() && lines_[at_ + 1].starts_with("  |"); first = false) {
      const auto text = unescape(trim_right(lines_[++at_].substr(3)));
      if (!text) return error("a malformed \\ sequence");
      if (!first) content += '\n';
      content += *text;
    }
    if (first) return error("the lines of the content are missing");
    tree_->add_file(path, std::move(content) + (newline ? "\n" : ""));
    return {};
  }

  Result<void> link(const std::string& path, std::string_view rest) {
    const auto target = unescape(rest);
    if (!target || !target->starts_with('/') || target->size() > kMaxPath)
      return error("the target of a link must be an absolute path");
    tree_->add_link(path, *target);
    places_.push_back(*target);
    return {};
  }

  Result<void> failure(const std::string& path, std::string_view rest) {
    for (const auto& f : kFailureWords) {
      if (f.word != rest) continue;
      tree_->add_failure(path, f.kind);
      return {};
    }
    return error("behind '!' must be absent, denied or failed");
  }

  Result<void> place(const std::string& path) {
    places_.push_back(path);
    return {};
  }

  Result<void> listing(const std::string& path, std::string_view rest) {
    std::vector<std::string> names;
    for (const auto word : split_words(rest)) NUMAPIN_CHECK_OK(add_names(names, word));
    tree_->add_listing(path, names);
    return {};
  }

  // "online" or "cpu[0-255]"
  Result<void> add_names(std::vector<std::string>& names, std::string_view word) {
    const auto open = word.find('[');
    const auto name = unescape(word.substr(0, open));
    if (!name || name->find('/') != name->npos) return error("a malformed name");
    long first = 0, last = 0;
    if (open != word.npos) {
      const auto range = word.substr(open + 1);
      const auto dash = range.find('-');
      const auto a = parse_number<int>(range.substr(0, dash));
      const auto b = dash == range.npos || !range.ends_with(']')
                         ? std::nullopt
                         : parse_number<int>(range.substr(dash + 1, range.size() - dash - 2));
      if (!a || !b || *a < 0 || *b < *a) return error("a malformed range of names");
      first = *a, last = *b;
    }
    names_left_ -= last - first + 1;
    if (names_left_ < 0) return error("too many names");
    if (open == word.npos) names.push_back(*name);
    else for (long n = first; n <= last; ++n) names.push_back(*name + std::to_string(n));
    return {};
  }

  std::vector<std::string_view> lines_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::string dir_;  // of the entries that follow, with a '/' at its end
  std::unique_ptr<MapTree> tree_ = std::make_unique<MapTree>();
  std::vector<std::string> places_;
  long names_left_ = kMaxNames;
};

}  // namespace

Result<std::unique_ptr<MapTree>> parse_snapshot(std::string_view text, const std::string& name) {
  return Parser(text, name).parse();
}

}  // namespace numapin
