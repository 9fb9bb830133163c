// Standard output as a stream that remembers why a write failed, so that a full disk is an error and a closed pipe is not.
#pragma once

#include <array>
#include <ostream>
#include <streambuf>

namespace numapin::cli {

/// Buffers in front of a file descriptor that it does not own.
class FdBuffer final : public std::streambuf {
 public:
  explicit FdBuffer(int fd);
  /// errno of the first write that failed, 0 while all went well. What came after a failure is dropped.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  int fd_;
  int error_ = 0;
  std::array<char, 8192> buffer_;
};

}  // namespace numapin::cli
