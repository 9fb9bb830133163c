// An archive unpacked by tar(1), for whatever reads directories only.
#pragma once

#include <filesystem>

namespace numapin::test {

/// A temporary directory with the archive in it, removed with the object.
class Unpacked {
 public:
  explicit Unpacked(const std::filesystem::path& archive);
  ~Unpacked();
  Unpacked(const Unpacked&) = delete;
  Unpacked& operator=(const Unpacked&) = delete;
  bool ok() const { return ok_; }
  const std::filesystem::path& top() const { return top_; }

 private:
  std::filesystem::path top_;
  bool ok_ = false;
};

}  // namespace numapin::test
