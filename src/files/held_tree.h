// The live "/" for files that are read again and again: they stay open.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "numapin/file_tree.h"

namespace numapin {

/// Reading /proc/PID/stat through a descriptor that is open already costs a third of opening it. And the descriptor
/// means that one process for good: once it has ended reads fail, whoever has its number then.
class HeldTree final : public FileTree {
 public:
  /// Beyond `most_files` files are opened for each read.
  explicit HeldTree(std::size_t most_files);
  HeldTree(const HeldTree&) = delete;
  HeldTree& operator=(const HeldTree&) = delete;
  ~HeldTree() override;

  Result<std::string> read(std::string_view path) const override;
  Result<std::vector<std::string>> list(std::string_view path) const override { return live_->list(path); }
  Result<std::string> resolve(std::string_view path) const override { return live_->resolve(path); }
  /// Closes what was not read since the last sweep but one.
  void sweep();
  std::size_t held() const { return files_.size(); }

 private:
  struct File {
    int fd = -1;
    unsigned last_read = 0;
  };
  std::unique_ptr<FileTree> live_;
  std::size_t most_files_;
  unsigned now_ = 0;
  mutable std::unordered_map<std::string, File> files_;
};

}  // namespace numapin
