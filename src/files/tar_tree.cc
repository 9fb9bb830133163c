#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"
#include "files/follow_links.h"
#include "numapin/file_tree.h"

namespace numapin {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMaxPath = 4096;                         // PATH_MAX: no kernel file has a longer one
constexpr std::size_t kMaxArchiveBytes = std::size_t{512} << 20;  // recorded trees unpack to some 10 MiB
constexpr int kMaxRootDepth = 4;

// ---- one header: POSIX ustar with the extensions of GNU and of pax ---------------------------------------------
// Field offsets and sizes: POSIX.1-2017, pax, "ustar Interchange Format".
struct Header {
  std::string_view block;
  std::string_view field(std::size_t at, std::size_t size) const {
    const auto f = block.substr(at, size);
    return f.substr(0, f.find('\0'));
  }
  char type() const { return block[156]; }
  std::string name() const {
    const auto prefix = block.substr(257, 6) == std::string_view("ustar\0", 6) ? field(345, 155) : "";
    return prefix.empty() ? std::string(field(0, 100)) : fmt::format("{}/{}", prefix, field(0, 100));
  }
  std::string link() const { return std::string(field(157, 100)); }
  bool is_zero() const { return block.find_first_not_of('\0') == block.npos; }
};

// Octal with blanks around it, or, with the top bit set, binary (GNU, for sizes from 8 GiB on).
std::optional<std::uint64_t> parse_tar_number(std::string_view field) {
  if (!field.empty() && (field[0] & '\x80') != 0) {
    std::uint64_t value = static_cast<unsigned char>(field[0]) & 0x3fU;
    if ((field[0] & '\x40') != 0) return std::nullopt;  // negative
    for (const char c : field.substr(1)) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  const auto digits = trim(field.substr(0, field.find('\0')));
  return digits.empty() ? std::uint64_t{0} : parse_number<std::uint64_t>(digits, 8);
}

// The sum of all bytes with the checksum field taken as blanks; some old programs summed signed chars.
bool checksum_fits(std::string_view block) {
  const auto wanted = parse_tar_number(block.substr(148, 8));
  long plain = 0, with_sign = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    plain += static_cast<unsigned char>(c);
    with_sign += static_cast<signed char>(c);
  }
  return wanted && (static_cast<long>(*wanted) == plain || static_cast<long>(*wanted) == with_sign);
}

// ---- the archive as entries ------------------------------------------------------------------------------------
struct Entry {
  enum class Type { kFile, kDir, kLink, kHardLink } type = Type::kFile;
  std::string path;  // normal: "/top/sys/..."
  std::string text;  // content, or the link's target
};

/// What extension headers say about the entry behind them.
struct Overrides {
  std::optional<std::string> path, link;
  std::optional<std::uint64_t> size;
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  Result<std::vector<Entry>> entries() {
    while (true) {
      if (at_ + kBlock > bytes_.size()) return error(at_, "the archive is cut off before its end mark");
      header_at_ = at_;
      const Header header{bytes_.substr(at_, kBlock)};
      if (header.is_zero()) return std::move(entries_);
      if (!checksum_fits(header.block)) return error(at_, "wrong checksum of a tar header");
      NUMAPIN_CHECK_OK(entry(header));
    }
  }

 private:
  Unexpected error(std::size_t at, std::string_view reason, std::string hint = {}) const {
    return bad_input(fmt::format("open {}: byte {}: {}", name_, at, reason), std::move(hint));
  }

  Result<void> entry(const Header& header) {
    const auto type = header.type();
    const bool extends = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    auto size = parse_tar_number(header.block.substr(124, 12));
    if (next_.size && !extends) size = next_.size;
    if (!size) return error(header_at_, "the size is not a number");
    // Links, devices and directories have no data, whatever size says (POSIX; a hard link may repeat its file's size).
    if (type >= '1' && type <= '6') size = 0;
    at_ += kBlock;
    if (*size > bytes_.size() - at_)
      return error(header_at_, fmt::format("the archive is cut off inside an entry of {} bytes", *size));
    const auto data = bytes_.substr(at_, static_cast<std::size_t>(*size));
    at_ += std::min((data.size() + kBlock - 1) / kBlock * kBlock, bytes_.size() - at_);
    if (extends) return extension(type, data);
    NUMAPIN_CHECK_OK(add(header, data));
    next_ = {};
    return {};
  }

  Result<void> extension(char type, std::string_view data) {
    const auto text = std::string(data.substr(0, data.find('\0')));
    if (type == 'L') next_.path = text;
    else if (type == 'K') next_.link = text;
    else return pax(data, type == 'x');
    return {};
  }

  // Records "LENGTH KEY=VALUE\n", the length counting the whole record.
  Result<void> pax(std::string_view data, bool for_next_entry) {
    while (!data.empty() && data[0] != '\0') {
      const auto blank = data.find(' ');
      const auto length = parse_number<std::size_t>(data.substr(0, blank));
      if (blank == data.npos || !length || *length <= blank + 1 || *length > data.size() || data[*length - 1] != '\n')
        return error(header_at_, "a pax record is malformed");
      const auto record = data.substr(blank + 1, *length - blank - 2);
      data.remove_prefix(*length);
      const auto equals = record.find('=');
      if (equals == record.npos) return error(header_at_, "a pax record has no '='");
      NUMAPIN_CHECK_OK(pax_value(record.substr(0, equals), record.substr(equals + 1), for_next_entry));
    }
    return {};
  }

  // Of the global header's keys ('g') none that matters to us can hold for several entries.
  Result<void> pax_value(std::string_view key, std::string_view value, bool for_next_entry) {
    if (key.starts_with("GNU.sparse.")) return sparse();
    if (!for_next_entry) return {};
    if (key == "path") next_.path = value;
    if (key == "linkpath") next_.link = value;
    if (key == "size") {
      next_.size = parse_number<std::uint64_t>(value);
      if (!next_.size) return error(header_at_, "the pax size is not a number");
    }
    return {};
  }

  Unexpected sparse() const {
    return error(header_at_, "a sparse file, which is not supported", "pack the tree again without --sparse");
  }

  Result<void> add(const Header& header, std::string_view data) {
    const auto path = next_.path.value_or(header.name());
    const auto link = next_.link.value_or(header.link());
    if (path.size() > kMaxPath || link.size() > kMaxPath) return error(header_at_, "a path is too long");
    const auto push = [&](Entry::Type type, std::string text) {
      entries_.push_back({type, normal_path(path), std::move(text)});
    };
    switch (header.type()) {
      case '1': push(Entry::Type::kHardLink, normal_path(link)); break;
      case '2': push(Entry::Type::kLink, link); break;
      case '3':  // devices, FIFOs and volume labels: nothing to read
      case '4':
      case '6':
      case 'V': break;
      case '5':
      case 'D': push(Entry::Type::kDir, ""); break;
      case 'S': return sparse();
      case 'M': return error(header_at_, "a part of a multi-volume archive");
      default:  // '0', '\0', '7', and what POSIX says to treat as files; before ustar a final '/' marked directories
        if (path.ends_with('/')) push(Entry::Type::kDir, "");
        else push(Entry::Type::kFile, std::string(without_padding(data)));
    }
    return {};
  }

  // sysfs claims more bytes (mostly 4096) than a file has, and tar fills up with zeros what it cannot read.
  static std::string_view without_padding(std::string_view data) {
    const auto end = data.find('\0');
    const bool padded = end != data.npos && data.find_first_not_of('\0', end) == data.npos;
    return padded ? data.substr(0, end) : data;
  }

  std::string_view bytes_;
  const std::string& name_;
  std::size_t at_ = 0, header_at_ = 0;
  Overrides next_;
  std::vector<Entry> entries_;
};

// ---- which directory plays "/" ---------------------------------------------------------------------------------
struct Roots {
  std::set<std::string> with_sys, with_proc;  // directories that hold sys/ or proc/
};

// By depth. A file "sys" is no root: only what has something below it, or is an entry for a directory, counts.
std::map<int, Roots> find_roots(const std::vector<Entry>& entries) {
  std::map<int, Roots> out;
  for (const auto& entry : entries) {
    const auto path = entry.type == Entry::Type::kDir ? entry.path + "/" : entry.path;
    auto begin = std::size_t{1};
    for (int depth = 0; depth <= kMaxRootDepth; ++depth) {
      const auto end = path.find('/', begin);
      if (end == path.npos) break;
      const auto name = path.substr(begin, end - begin);
      if (name == "sys") out[depth].with_sys.insert(path.substr(0, begin - 1));
      if (name == "proc") out[depth].with_proc.insert(path.substr(0, begin - 1));
      begin = end + 1;
    }
  }
  return out;
}

// The least deep one: /proc/sys and the like lie deeper than the root that holds them.
Result<std::string> find_root(const std::vector<Entry>& entries, const std::string& name) {
  const auto by_depth = find_roots(entries);
  if (by_depth.empty()) return std::string();
  const auto& [with_sys, with_proc] = by_depth.begin()->second;
  const auto& found = with_sys.empty() ? with_proc : with_sys;
  if (found.size() > 1)
    return bad_input(fmt::format("open {}: several directories hold a machine: {}, {}{}", name, *found.begin(),
                                 *std::next(found.begin()), found.size() > 2 ? ", ..." : ""),
                     "pack one of them alone");
  return *found.begin();
}

std::optional<std::string_view> below(std::string_view path, std::string_view root) {
  if (!path.starts_with(root)) return std::nullopt;
  path.remove_prefix(root.size());
  if (!path.empty() && path[0] != '/') return std::nullopt;
  return path;
}

void add(MapTree& tree, std::string_view path, const Entry& entry) {
  switch (entry.type) {
    case Entry::Type::kFile: tree.add_file(path, entry.text); break;
    case Entry::Type::kDir: tree.add_dir(path); break;
    case Entry::Type::kLink: tree.add_link(path, entry.text); break;
    case Entry::Type::kHardLink: break;  // was replaced by what it names
  }
}

Result<std::unique_ptr<FileTree>> make_tree(const std::vector<Entry>& entries, const std::string& root,
                                            const std::string& name) {
  std::map<std::string_view, const Entry*> linkable;
  auto tree = std::make_unique<MapTree>();
  for (const auto& entry : entries) {
    const auto* meant = &entry;
    if (entry.type == Entry::Type::kHardLink) {
      const auto target = linkable.find(entry.text);
      if (target == linkable.end())
        return bad_input(fmt::format("open {}: {} is a hard link to {}, which is not before it in the archive", name,
                                     entry.path, entry.text));
      meant = target->second;
    }
    if (meant->type != Entry::Type::kDir) linkable[entry.path] = meant;
    if (const auto path = below(entry.path, root)) add(*tree, *path, *meant);
  }
  return tree;
}

}  // namespace

bool is_tar(std::string_view bytes) {
  return bytes.size() >= kBlock && !Header{bytes.substr(0, kBlock)}.is_zero() && checksum_fits(bytes.substr(0, kBlock));
}

Result<std::unique_ptr<FileTree>> make_tar_tree(std::string_view bytes, const std::string& name) {
  std::string unpacked;
  if (!is_tar(bytes)) {
    NUMAPIN_TRY(unpacked, decompress(std::string(bytes), name, kMaxArchiveBytes));
    bytes = unpacked;
  }
  NUMAPIN_TRY(const auto entries, Reader(bytes, name).entries());
  if (entries.empty()) return bad_input(fmt::format("open {}: the archive holds no files", name));
  NUMAPIN_TRY(const auto root, find_root(entries, name));
  return make_tree(entries, root, name);
}

}  // namespace numapin
