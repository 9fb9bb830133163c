#include "sources/anonymize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::size_t hex_run(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_hex) - text.begin());
}

/// How far `text` goes on in groups of `size` hexadecimal digits; counts the groups.
std::size_t groups(std::string_view text, std::size_t size, char separator, int& count) {
  std::size_t at = 0;
  for (count = 0; hex_run(text.substr(at)) == size; ++count) {
    at += size;
    if (at == text.size() || text[at] != separator) return ++count, at;
    ++at;
  }
  return count == 0 ? 0 : at - 1;
}

/// 8-4-4-4-12, with "-" or, in the names of cgroups of Kubernetes, "_". Returns its length, or 0.
std::size_t uuid_length(std::string_view text) {
  std::size_t at = 0;
  const char separator = text.size() > 8 ? text[8] : '\0';
  if (separator != '-' && separator != '_') return 0;
  for (const std::size_t size : {8, 4, 4, 4, 12}) {
    if (at != 0 && (at >= text.size() || text[at++] != separator)) return 0;
    if (hex_run(text.substr(at)) != size) return 0;
    at += size;
  }
  return at;
}

/// Machine ids (32 digits), hashes (40) and container ids (64). CPU masks without commas look alike, but have few
/// different digits.
std::size_t id_length(std::string_view text) {
  const auto n = hex_run(text);
  if (n != 32 && n != 40 && n != 64) return 0;
  const auto run = text.substr(0, n);
  return std::set<char>(run.begin(), run.end()).size() < 6 ? 0 : n;
}

/// Ethernet (6 bytes), EUI-64 (8), IP over InfiniBand (20); GUIDs and GIDs (4 or 8 groups of 4 digits).
std::size_t hardware_address_length(std::string_view text) {
  int count = 0;
  if (const auto n = groups(text, 2, ':', count); count == 6 || count == 8 || count == 20) return n;
  if (const auto n = groups(text, 4, ':', count); count == 4 || count == 8) return n;
  return 0;
}

std::size_t ip_address_length(std::string_view text) {
  std::size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at >= text.size() || text[at++] != '.')) return 0;
    const auto end = std::min(text.find_first_not_of("0123456789", at), text.size());
    if (!parse_number<std::uint8_t>(text.substr(at, end - at))) return 0;
    at = end;
  }
  return at < text.size() && (text[at] == '.' || text[at] == '-') ? 0 : at;  // a version
}

/// As long as the original, its digits replaced by zeros but for the number at the end.
std::string zeros_like(std::string_view original, int number) {
  std::string out(original);
  for (char& c : out)
    if (is_hex(c)) c = '0';
  const auto digits = fmt::format("{:x}", number);
  auto at = out.size();
  for (auto d = digits.rbegin(); d != digits.rend() && at > 0; ++d) {
    while (--at > 0 && out[at] == ':') {}
    out[at] = *d;
  }
  return out;
}

bool is_zero(std::string_view id) { return id.find_first_not_of("0:-_. ") == id.npos; }

bool names_serial(std::string_view key) {
  const auto lower = to_lower(key);
  return lower.find("serial") != lower.npos || lower == "unique_id" || lower.find("asset_tag") != lower.npos;
}

}  // namespace

int Anonymizer::number_of(Kind kind, std::string_view original) {
  auto& known = numbers_[kind];
  return known.emplace(to_lower(original), static_cast<int>(known.size()) + 1).first->second;
}

// Replaces what starts at `at`, if it is an id; returns how much of the text that was.
std::size_t Anonymizer::replace_at(std::string_view text, std::size_t at, std::string& out) {
  // "pod": Kubernetes writes the UUID of a pod right behind it
  const bool inside_word = at > 0 && (is_word(text[at - 1]) || text[at - 1] == ':');
  if (inside_word && !text.substr(0, at).ends_with("pod")) return 0;
  const auto rest = text.substr(at);
  const auto taken = [&](std::size_t n) {
    return n != 0 && (n == rest.size() || !is_word(rest[n])) && !is_zero(rest.substr(0, n));
  };
  if (const auto n = uuid_length(rest); taken(n)) {
    auto uuid = std::string(rest.substr(0, n));
    std::replace(uuid.begin(), uuid.end(), '_', '-');
    const char separator = rest[8];
    out += fmt::format("{0:08x}{1}0000{1}0000{1}0000{1}000000000000", number_of(Kind::kUuid, uuid), separator);
    return n;
  }
  if (const auto n = id_length(rest); taken(n)) {
    out += zeros_like(rest.substr(0, n), number_of(Kind::kId, rest.substr(0, n)));
    return n;
  }
  if (const auto n = hardware_address_length(rest); taken(n)) {
    out += zeros_like(rest.substr(0, n), number_of(Kind::kHardwareAddress, rest.substr(0, n)));
    return n;
  }
  const bool inside_version = at > 0 && text[at - 1] == '.';
  if (const auto n = ip_address_length(rest); taken(n) && !inside_version && !rest.starts_with("127.")) {
    // RFC 5737: addresses for documentation
    out += fmt::format("192.0.2.{}", number_of(Kind::kIpAddress, rest.substr(0, n)) % 256);
    return n;
  }
  return 0;
}

std::string Anonymizer::ids(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto n = is_hex(text[at]) ? replace_at(text, at, out) : 0;
    if (n == 0) out += text[at];
    at += n == 0 ? 1 : n;
  }
  return out;
}

std::string Anonymizer::serial(std::string_view value) {
  if (is_zero(value)) return std::string(value);
  return std::to_string(number_of(Kind::kSerial, value));
}

// "Serial\t\t: 00000000abcd", "unique_id 1234": the value of such a key is an id, whatever its form.
std::string Anonymizer::line(std::string_view text) {
  auto key_end = text.find_first_of(":=");
  if (key_end == text.npos) key_end = text.find(' ');
  if (key_end == text.npos || !names_serial(trim(text.substr(0, key_end)))) return ids(text);
  const auto value = std::min(text.find_first_not_of(" \t", key_end + 1), text.size());
  return std::string(text.substr(0, value)) + (value == text.size() ? "" : serial(text.substr(value)));
}

std::string Anonymizer::without_host(std::string_view text) {
  std::string out(text);
  for (auto at = out.find(host_name_); at != out.npos; at = out.find(host_name_, at + 1)) {
    const auto end = at + host_name_.size();
    if ((at > 0 && is_word(out[at - 1])) || (end < out.size() && is_word(out[end]))) continue;
    out.replace(at, host_name_.size(), "host");
    host_replaced_ = true;
  }
  return out;
}

std::string Anonymizer::path(std::string_view text) { return ids(text); }

/// Elsewhere the same word means something else: hosts are called "node", "gpu", "model", "lab".
static bool may_name_host(std::string_view path) {
  return path == "/proc/sys/kernel/hostname" || path.ends_with("/cgroup") || path.ends_with("/environment");
}

std::string Anonymizer::content(std::string_view path, std::string_view text) {
  const auto name = path.substr(path.rfind('/') + 1);
  if (names_serial(name)) {
    const auto value = trim(text);
    return value.empty() ? std::string(text) : serial(value) + (text.ends_with('\n') ? "\n" : "");
  }
  std::string out;
  for (const auto& part : split(text, '\n')) out += line(part) + "\n";
  out.pop_back();
  return host_name_.empty() || !may_name_host(path) ? out : without_host(out);
}

std::string Anonymizer::summary() const {
  std::vector<std::string> parts;
  if (host_replaced_) parts.emplace_back("host name");
  const auto count = [&](Kind kind, std::string_view one, std::string_view many) {
    const auto found = numbers_.find(kind);
    if (found == numbers_.end()) return;
    const auto n = found->second.size();
    parts.push_back(fmt::format("{} {}", n, n == 1 ? one : many));
  };
  count(Kind::kUuid, "UUID", "UUIDs");
  count(Kind::kId, "machine or container id", "machine or container ids");
  count(Kind::kHardwareAddress, "hardware address", "hardware addresses");
  count(Kind::kIpAddress, "IP address", "IP addresses");
  count(Kind::kSerial, "serial number", "serial numbers");
  return "replaced: " + (parts.empty() ? "nothing" : join(parts, ", "));
}

}  // namespace numapin
