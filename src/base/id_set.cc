#include "numapin/id_set.h"

#include <fmt/format.h>

#include <bit>

#include "base/numbers.h"

namespace numapin::detail {
namespace {

constexpr int kWordBits = 64;

Unexpected malformed(std::string_view what, std::string_view text, std::size_t column, std::string_view reason) {
  constexpr std::size_t kShown = 80;
  return bad_input(fmt::format("parse {} \"{}{}\": column {}: {}", what, text.substr(0, kShown),
                               text.size() > kShown ? "..." : "", column + 1, reason),
                   "write numbers and ranges, as in 0-3,8 or 0-31:2");
}

/// Cursor over a list; the column of an error is where it stands.
struct Reader {
  std::string_view text;
  std::size_t at = 0;

  bool done() const { return at == text.size(); }
  bool take(char c) {
    if (done() || text[at] != c) return false;
    ++at;
    return true;
  }
  std::optional<int> number() {
    const auto start = at;
    while (!done() && text[at] >= '0' && text[at] <= '9') ++at;
    const auto value = parse_number<int>(text.substr(start, at - start));
    if (!value) at = start;
    return value;
  }
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool Bits::contains(int i) const {
  const auto w = static_cast<std::size_t>(i) / kWordBits;
  return i >= 0 && w < words_.size() && (words_[w] >> (i % kWordBits) & 1) != 0;
}

void Bits::insert(int i) {
  if (i < 0 || i >= kMaxIds) return;
  const auto w = static_cast<std::size_t>(i) / kWordBits;
  if (w >= words_.size()) words_.resize(w + 1);
  words_[w] |= std::uint64_t{1} << (i % kWordBits);
}

void Bits::erase(int i) {
  if (!contains(i)) return;
  words_[static_cast<std::size_t>(i) / kWordBits] &= ~(std::uint64_t{1} << (i % kWordBits));
  trim();
}

int Bits::size() const {
  int n = 0;
  for (auto w : words_) n += std::popcount(w);
  return n;
}

int Bits::next(int from) const {
  for (auto w = static_cast<std::size_t>(from) / kWordBits; w < words_.size(); ++w) {
    auto word = words_[w];
    if (w == static_cast<std::size_t>(from) / kWordBits) word &= ~std::uint64_t{0} << (from % kWordBits);
    if (word != 0) return static_cast<int>(w) * kWordBits + std::countr_zero(word);
  }
  return -1;
}

int Bits::last() const {
  if (words_.empty()) return -1;
  return static_cast<int>(words_.size()) * kWordBits - 1 - std::countl_zero(words_.back());
}

Bits& Bits::operator|=(const Bits& o) {
  if (o.words_.size() > words_.size()) words_.resize(o.words_.size());
  for (std::size_t i = 0; i < o.words_.size(); ++i) words_[i] |= o.words_[i];
  return *this;
}

Bits& Bits::operator&=(const Bits& o) {
  if (words_.size() > o.words_.size()) words_.resize(o.words_.size());
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= o.words_[i];
  trim();
  return *this;
}

Bits& Bits::operator-=(const Bits& o) {
  for (std::size_t i = 0; i < words_.size() && i < o.words_.size(); ++i) words_[i] &= ~o.words_[i];
  trim();
  return *this;
}

std::strong_ordering Bits::operator<=>(const Bits& o) const {
  int a = next(0), b = o.next(0);
  while (a == b && a >= 0) {
    a = next(a + 1);
    b = o.next(b + 1);
  }
  return a <=> b;
}

void Bits::trim() {
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
}

std::string Bits::to_list() const {
  std::string out;
  for (int i = next(0); i >= 0;) {
    int end = i;
    while (contains(end + 1)) ++end;
    if (!out.empty()) out += ',';
    out += end == i ? fmt::format("{}", i) : fmt::format("{}-{}", i, end);
    i = next(end + 1);
  }
  return out;
}

std::string Bits::to_mask() const {
  if (words_.empty()) return "0";
  std::string out;
  for (auto w = words_.size(); w-- > 0;) {
    const auto high = static_cast<std::uint32_t>(words_[w] >> 32), low = static_cast<std::uint32_t>(words_[w]);
    if (!out.empty()) out += fmt::format(",{:08x}", high);
    else if (high != 0) out = fmt::format("{:x}", high);
    out += out.empty() ? fmt::format("{:x}", low) : fmt::format(",{:08x}", low);
  }
  return out;
}

// list := "" | item ("," item)*    item := N | N "-" M | N "-" M ":" STRIDE | N "-" M ":" USED "/" GROUP
Result<Bits> Bits::parse_list(std::string_view text, std::string_view what) {
  Bits out;
  Reader in{numapin::trim(text)};
  const auto error = [&](std::size_t column, std::string_view reason) {
    return malformed(what, in.text, column, reason);
  };
  if (in.done()) return out;
  do {
    const auto start = in.at;
    const auto first = in.number();
    if (!first) return error(in.at, in.done() ? "a number is missing" : "not a number");
    int last = *first, used = 1, group = 1;
    if (in.take('-')) {
      const auto column = in.at;
      const auto end = in.number();
      if (!end) return error(column, in.done() ? "the end of the range is missing" : "not a number");
      if (*end < *first) return error(start, "the range runs backwards");
      last = *end;
      if (in.take(':')) {
        const auto n = in.number();
        if (!n || *n == 0) return error(in.at, "the stride must be a number above 0");
        group = *n;
        if (in.take('/')) {
          const auto size = in.number();
          if (!size || *size < *n) return error(in.at, "the group must be at least as large as the part used of it");
          used = *n;
          group = *size;
        }
      }
    }
    if (last >= kMaxIds) return error(start, fmt::format("{} is above the largest number, {}", last, kMaxIds - 1));
    for (int i = *first; i <= last; ++i)
      if ((i - *first) % group < used) out.insert(i);
  } while (in.take(','));
  if (!in.done()) return error(in.at, fmt::format("'{}' is not expected here", in.text[in.at]));
  return out;
}

// Groups are 32 bits each, also the shortened first one; hwloc and taskset put "0x" before a group.
Result<Bits> Bits::parse_mask(std::string_view text, std::string_view what) {
  Bits out;
  const auto in = numapin::trim(text);
  const auto error = [&](std::size_t column, std::string_view reason) {
    return bad_input(fmt::format("parse {} mask \"{}\": column {}: {}", what.substr(0, what.find(' ')),
                                 in.substr(0, 80), column + 1, reason),
                     "write hexadecimal digits, as in 0x0f or ffff,00000000");
  };
  if (in.empty()) return error(0, "the mask is empty");
  const bool grouped = in.find(',') != in.npos;
  int base = 0;
  std::size_t end = in.size();
  while (true) {
    const auto comma = in.rfind(',', end == 0 ? 0 : end - 1);
    const auto begin = comma == in.npos ? 0 : comma + 1;
    auto group = in.substr(begin, end - begin);
    std::size_t column = begin;
    if (group.starts_with("0x") || group.starts_with("0X")) {
      group.remove_prefix(2);
      column += 2;
    }
    if (group.empty() && !(grouped && begin > 0)) return error(column, "hexadecimal digits are missing");
    if (grouped && group.size() > 8) return error(column, "a group has at most 8 digits");
    for (std::size_t i = 0; i < group.size(); ++i) {
      const int digit = hex_digit(group[i]);
      if (digit < 0) return error(column + i, fmt::format("'{}' is not a hexadecimal digit", group[i]));
      const auto bit = static_cast<long>(base) + 4L * static_cast<long>(group.size() - 1 - i);
      if (digit != 0 && bit + 4 > kMaxIds) return error(column + i, "the mask is too long");
      for (int b = 0; b < 4; ++b)
        if ((digit >> b & 1) != 0) out.insert(static_cast<int>(bit) + b);
    }
    if (begin == 0) break;
    base += 32;
    if (base > kMaxIds) return error(begin, "the mask is too long");
    end = begin - 1;
  }
  return out;
}

}  // namespace numapin::detail
