#include "sources/snapshot_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/id_set.h"

namespace numapin {
namespace {

constexpr std::string_view kFirstLine = "numapin-snapshot ";
constexpr int kVersion = 1;
constexpr std::size_t kMaxPath = 4096;  // PATH_MAX
constexpr long kMaxNames = 1 << 18;  // that all ranges may unfold to
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
  int number;
};
std::optional<Numbered> numbered(std::string_view name) {
  const auto at = name.find_last_not_of(kDigits) + 1;
  const auto digits = name.substr(at);
  const auto n = parse_number<int>(digits);
  if (!n || *n >= kMaxIds || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  return Numbered{name.substr(0, at), *n};
}

constexpr int kWorthARange = 3;

/// "cpu[0-255]": escaped, what stands in front of a number, and the numbers.
std::string write_range(std::string_view prefix, const detail::Bits& numbers) {
  return fmt::format("{}[{}]", escape_name(prefix), numbers.to_list());
}

/// "cpu[0-255] cpufreq online"
std::string write_names(const std::vector<std::string>& names) {
  std::map<std::string_view, detail::Bits> ranges;
  for (const auto& name : names)
    if (const auto n = numbered(name)) ranges[n->prefix].insert(n->number);
  std::set<std::string, NaturalLess> words;
  for (const auto& name : names) {
    const auto n = numbered(name);
    const bool in_range = n && ranges[n->prefix].size() >= kWorthARange;
    words.insert(in_range ? write_range(n->prefix, ranges[n->prefix]) : escape_name(name));
  }
  std::string out;
  for (const auto& word : words) out.append(" ").append(word);
  return out;
}

// ---- writing ---------------------------------------------------------------------------------------------------

/// Directory -> name below it, escaped -> rest of the line.
using Blocks = std::map<std::string, std::map<std::string, std::string, NaturalLess>, NaturalLess>;

/// Entries stand under the nearest directory above them that is one of many (its name has a digit: cpu0,
/// 0000:18:00.0, node1), else under their own directory.
void add(Blocks& blocks, const std::string& path, std::string line) {
  const auto dir = path.substr(0, path.rfind('/'));
  auto cut = dir.size();
  if (const auto digit = dir.find_last_of(kDigits); digit != dir.npos) cut = std::min(dir.find('/', digit), dir.size());
  auto& block = blocks[cut == 0 ? "/" : path.substr(0, cut)];
  block.emplace(escape_name(path.substr(cut + 1)), std::move(line));
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

/// What several numbered directories have in common stands once, under the directory that holds them:
/// "cpu[0-255]/cpu_capacity ! absent". A machine with 256 CPUs would be mostly that.
void share(Blocks& blocks) {
  struct Shared {
    std::string parent, prefix, name, line;
    auto operator<=>(const Shared&) const = default;
  };
  std::map<Shared, detail::Bits> groups;
  for (const auto& [dir, entries] : blocks) {
    const auto slash = dir.rfind('/');
    const auto n = numbered(std::string_view(dir).substr(slash + 1));
    if (!n) continue;
    for (const auto& [name, line] : entries)
      if (line[0] == '=' || line[0] == '!' || line[0] == '~')
        groups[{dir.substr(0, slash), std::string(n->prefix), name, line}].insert(n->number);
  }
  for (const auto& [shared, numbers] : groups) {
    if (numbers.size() < kWorthARange) continue;
    for (int n = numbers.next(0); n >= 0; n = numbers.next(n + 1)) {
      const auto block = blocks.find(fmt::format("{}/{}{}", shared.parent, shared.prefix, n));
      block->second.erase(shared.name);
      if (block->second.empty()) blocks.erase(block);
    }
    blocks[shared.parent.empty() ? "/" : shared.parent].emplace(
        write_range(shared.prefix, numbers) + "/" + shared.name, shared.line);
  }
}

Blocks make_blocks(const KnownTree& tree) {
  Blocks blocks;
  for (const auto& [path, content] : tree.files) add(blocks, path, file_line(content));
  for (const auto& [path, target] : tree.links) add(blocks, path, "-> " + escape_name(target));
  for (const auto& [path, kind] : tree.failures) add(blocks, path, fmt::format("! {}", word_of(kind)));
  for (const auto& [path, names] : tree.lists) add(blocks, path + "/.", ":" + write_names(names));
  for (const auto& path : tree.places) add(blocks, path, "?");
  share(blocks);
  return blocks;
}

}  // namespace

std::string write_snapshot(const KnownTree& tree, std::string_view comment) {
  auto out = fmt::format("{}{}\n", kFirstLine, kVersion);
  for (const auto line : split_lines(comment)) out += fmt::format("# {}\n", line);
  for (const auto& [dir, entries] : make_blocks(tree)) {
    out += fmt::format("\n{}\n", escape_name(dir));
    for (const auto& [name, line] : entries) out += fmt::format("  {} {}\n", name, line);
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
    NUMAPIN_TRY(const auto names, unfold(text.substr(0, blank)));
    text.remove_prefix(blank + 1);
    const auto op = text.substr(0, text.find(' '));
    const auto rest = text.substr(std::min(op.size() + 1, text.size()));
    if (op.starts_with('<') && names.size() > 1) return error("only an entry of one line may stand for several");
    for (const auto& name : names) {
      const auto path = dir_ + name;
      if (path.size() > kMaxPath) return error("the path is too long");
      NUMAPIN_CHECK_OK(entry(path, op, rest));
    }
    return {};
  }

  Result<void> entry(const std::string& path, std::string_view op, std::string_view rest) {
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
    for (const auto word : split_words(rest)) {
      NUMAPIN_TRY(auto unfolded, unfold(word));
      for (auto& name : unfolded) {
        if (name.find('/') != name.npos) return error("a name with a '/'");
        names.push_back(std::move(name));
      }
    }
    tree_->add_listing(path, names);
    return {};
  }

  // "online", or "cpu[0-3,8]/online" for several
  Result<std::vector<std::string>> unfold(std::string_view word) {
    const auto open = word.find('['), close = word.find(']', std::min(open, word.size()));
    const auto before = unescape(word.substr(0, open));
    const auto after = unescape(open == word.npos ? "" : word.substr(std::min(close, word.size() - 1) + 1));
    if (!before || !after) return error("a malformed \\ sequence");
    if (open == word.npos) return std::vector<std::string>{*before};
    const auto numbers = close == word.npos ? Result<detail::Bits>(detail::Bits())
                                            : detail::Bits::parse_list(word.substr(open + 1, close - open - 1), "number list");
    if (!numbers || numbers->empty()) return error("a malformed range of names");
    names_left_ -= numbers->size();
    if (names_left_ < 0) return error("too many names");
    std::vector<std::string> names;
    for (int n = numbers->next(0); n >= 0; n = numbers->next(n + 1)) names.push_back(*before + std::to_string(n) + *after);
    return names;
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
