// What tells whose machine a recording is, replaced by numbers: the same thing by the same number everywhere.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace numapin {

/// Replaces UUIDs (also of GPUs and MIG instances), machine and container ids, hardware and IP addresses, serial
/// numbers and the host name. What it replaces by has the same form, so that parsers read it the same.
class Anonymizer {
 public:
  /// `host_name` may be empty: not known.
  explicit Anonymizer(std::string_view host_name) : host_name_(host_name) {}

  /// A path, a name in a directory or the target of a link.
  std::string path(std::string_view text);
  /// The content of a file; its path tells what it is.
  std::string content(std::string_view path, std::string_view text);
  /// "replaced: host name, 8 UUIDs, 2 hardware addresses"
  std::string summary() const;

 private:
  enum class Kind { kUuid, kId, kHardwareAddress, kIpAddress, kSerial };
  /// From 1, in the order of appearance.
  int number_of(Kind kind, std::string_view original);
  std::string ids(std::string_view text);
  std::size_t replace_at(std::string_view text, std::size_t at, std::string& out);
  std::string line(std::string_view text);
  std::string without_host(std::string_view text);
  std::string serial(std::string_view value);

  std::string host_name_;
  bool host_replaced_ = false;
  std::map<Kind, std::map<std::string, int>> numbers_;
};

}  // namespace numapin
