// The only door to files for every source: the live "/", a directory, a tar, a recording, a map in a test.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "numapin/result.h"

namespace numapin {

/// A read-only tree of small text files (sysfs, procfs). Paths are absolute ("/sys/devices/system/cpu/online");
/// symbolic links are followed inside the tree and never lead out of it.
class FileTree {
 public:
  virtual ~FileTree() = default;
  /// The whole content. Errors: kNotFound, kDenied, kNotRecorded, kSystem.
  virtual Result<std::string> read(std::string_view path) const = 0;
  /// Names of the entries of a directory, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(std::string_view path) const = 0;
  /// The path with every symbolic link followed (realpath(3), seen from the tree's root).
  virtual Result<std::string> resolve(std::string_view path) const = 0;
};

/// The real tree below `root` ("/" is the live machine).
std::unique_ptr<FileTree> make_dir_tree(const std::filesystem::path& root);

/// An in-memory tree: recordings, tars, tests. Directories exist by what is below them.
/// Where two entries contradict each other, a directory with something below it stays, else the later one wins.
class MapTree final : public FileTree {
 public:
  MapTree() = default;
  explicit MapTree(const std::map<std::string, std::string>& files);
  void add_file(std::string_view path, std::string content);
  void add_link(std::string_view path, std::string target);  ///< target absolute, or relative to the link's directory
  void add_dir(std::string_view path);                       ///< a directory that may be empty
  /// A path that was looked at and failed when the recording was made. kNotFound: it and all below it is not there;
  /// other kinds: it exists, but read and list fail.
  void add_failure(std::string_view path, Error::Kind kind);

  /// From now on a path that is in no entry is kNotRecorded instead of kNotFound, unless its directory's names are
  /// known (add_listing), and a directory can be listed only then.
  void set_strict(bool strict) { strict_ = strict; }
  /// Every name in a directory, also those of which nothing else is known.
  void add_listing(std::string_view path, const std::vector<std::string>& names);

  Result<std::string> read(std::string_view path) const override;
  Result<std::vector<std::string>> list(std::string_view path) const override;
  Result<std::string> resolve(std::string_view path) const override;

 private:
  struct Entry {
    enum class Type { kDir, kFile, kLink, kFailure } type = Type::kDir;
    std::string text;                          // content, or target
    std::set<std::string, std::less<>> names;  // of a directory
    bool complete = false;                     // the names of the directory are all there are
    Error::Kind failure = Error::Kind::kSystem;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };

  const Entry* find(std::string_view path) const;
  Result<std::string> locate(std::string_view path, std::string_view verb) const;
  Unexpected unknown(std::string_view path, std::string_view verb, const std::string& at) const;
  Entry& make_dir(const std::string& path);
  Entry* replace(const std::string& path, Entry::Type type);

  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;  // by path without links, "/a/b"; root ""
  bool strict_ = false;
};

/// Passes every question on and remembers the answers, the failures too: what `snapshot` writes.
class RecordingTree final : public FileTree {
 public:
  explicit RecordingTree(const FileTree& inner) : inner_(inner) {}
  Result<std::string> read(std::string_view path) const override;
  Result<std::vector<std::string>> list(std::string_view path) const override;
  Result<std::string> resolve(std::string_view path) const override;

  /// Questions by path. A question asked again gets its first answer, so that a record does not contradict itself.
  struct Record {
    std::map<std::string, Result<std::string>> reads;
    std::map<std::string, Result<std::vector<std::string>>> lists;
    std::map<std::string, Result<std::string>> resolves;
  };
  const Record& record() const { return record_; }

 private:
  const FileTree& inner_;
  mutable Record record_;
};

/// The first bytes are a tar header (of any age).
bool is_tar(std::string_view bytes);

/// A tar archive (plain, gzip, bzip2, xz) of a file tree. The directory inside that plays "/" is found by
/// looking for "sys/" or "proc/"; an archive without them is shown as it is. Nothing is written to disk. Errors: kBadInput with what is wrong.
Result<std::unique_ptr<FileTree>> make_tar_tree(std::string_view bytes, const std::string& name);

/// A file as text, decompressed where it is gzip, bzip2 or xz (by its first bytes).
/// `limit_bytes` bounds the result: a bomb is kBadInput.
Result<std::string> decompress(std::string bytes, const std::string& name, std::size_t limit_bytes);

}  // namespace numapin
