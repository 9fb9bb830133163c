// Sets of CPUs and of NUMA nodes, and the one parser of the kernel's list and mask formats.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/result.h"

namespace numapin {

enum class CpuId : int {};   ///< the kernel's number of a logical CPU
enum class NodeId : int {};  ///< the kernel's number of a NUMA node

constexpr int number(CpuId id) { return static_cast<int>(id); }
constexpr int number(NodeId id) { return static_cast<int>(id); }

/// Largest id accepted from text plus one: far above NR_CPUS of any kernel (8,192), low enough that
/// no input can make us allocate more than 8 KiB a set.
constexpr int kMaxIds = 65536;

namespace detail {
/// A growing bit set without trailing zero words, so that equal sets compare equal.
class Bits {
 public:
  bool contains(int i) const;
  void insert(int i);
  void erase(int i);
  bool empty() const { return words_.empty(); }
  int size() const;
  int next(int from) const;  ///< smallest member >= from, or -1
  int last() const;          ///< largest member, or -1
  Bits& operator|=(const Bits& o);
  Bits& operator&=(const Bits& o);
  Bits& operator-=(const Bits& o);
  bool operator==(const Bits&) const = default;
  std::strong_ordering operator<=>(const Bits& o) const;
  const std::vector<std::uint64_t>& words() const { return words_; }

  std::string to_list() const;
  std::string to_mask() const;
  /// `what` names the thing in errors: "CPU list"
  static Result<Bits> parse_list(std::string_view text, std::string_view what);
  static Result<Bits> parse_mask(std::string_view text, std::string_view what);

 private:
  void trim();
  std::vector<std::uint64_t> words_;
};
}  // namespace detail

/// An ordered set of ids. Value semantics; iteration goes from the smallest id up.
template <class Id>
class IdSet {
 public:
  IdSet() = default;
  IdSet(std::initializer_list<int> ids) {
    for (int i : ids) bits_.insert(i);
  }
  static IdSet of(Id id) {
    IdSet s;
    s.insert(id);
    return s;
  }
  /// {first, ..., last}, both included
  static IdSet range(int first, int last) {
    IdSet s;
    for (int i = first; i <= last; ++i) s.bits_.insert(i);
    return s;
  }

  /// Reads the kernel's list format: "0-3,8" (spaces and a final newline allowed), with taskset's and
  /// the kernel's strides "0-31:2" and "0-31:2/8" (from each 8, the first 2). Empty text is the empty set.
  /// Error: kBadInput, naming the column (from 1) where the text stops making sense.
  static Result<IdSet> parse(std::string_view text) {
    return wrap(detail::Bits::parse_list(text, what()));
  }
  /// Reads a mask in hexadecimal: "f", "0x0f", "ffff,00000000" (32 bits a group, the kernel's and hwloc's forms).
  static Result<IdSet> parse_mask(std::string_view text) {
    return wrap(detail::Bits::parse_mask(text, what()));
  }

  bool contains(Id id) const { return bits_.contains(static_cast<int>(id)); }
  bool contains(const IdSet& o) const { return (o - *this).empty(); }
  bool intersects(const IdSet& o) const { return !(o & *this).empty(); }
  void insert(Id id) { bits_.insert(static_cast<int>(id)); }
  void erase(Id id) { bits_.erase(static_cast<int>(id)); }
  bool empty() const { return bits_.empty(); }
  int size() const { return bits_.size(); }
  /// smallest and largest member; the set must not be empty
  Id first() const { return static_cast<Id>(bits_.next(0)); }
  Id last() const { return static_cast<Id>(bits_.last()); }

  IdSet& operator|=(const IdSet& o) { bits_ |= o.bits_; return *this; }
  IdSet& operator&=(const IdSet& o) { bits_ &= o.bits_; return *this; }
  IdSet& operator-=(const IdSet& o) { bits_ -= o.bits_; return *this; }
  friend IdSet operator|(IdSet a, const IdSet& b) { return a |= b; }
  friend IdSet operator&(IdSet a, const IdSet& b) { return a &= b; }
  friend IdSet operator-(IdSet a, const IdSet& b) { return a -= b; }
  bool operator==(const IdSet&) const = default;
  std::strong_ordering operator<=>(const IdSet& o) const { return bits_ <=> o.bits_; }

  /// "0-3,8"; "" for the empty set: the kernel's list format
  std::string to_list() const { return bits_.to_list(); }
  /// "ffffffff,0000000f": the kernel's mask format
  std::string to_mask() const { return bits_.to_mask(); }
  /// 64-bit words, lowest ids first, no trailing zero word: what the system calls take on little-endian machines
  const std::vector<std::uint64_t>& words() const { return bits_.words(); }

  class iterator {
   public:
    using value_type = Id;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;
    iterator() = default;
    iterator(const detail::Bits* bits, int at) : bits_(bits), at_(at) {}
    Id operator*() const { return static_cast<Id>(at_); }
    iterator& operator++() { at_ = bits_->next(at_ + 1); return *this; }
    iterator operator++(int) { auto old = *this; ++*this; return old; }
    bool operator==(const iterator& o) const { return at_ == o.at_; }

   private:
    const detail::Bits* bits_ = nullptr;
    int at_ = -1;
  };
  iterator begin() const { return {&bits_, bits_.next(0)}; }
  iterator end() const { return {&bits_, -1}; }

 private:
  static std::string_view what();
  static Result<IdSet> wrap(Result<detail::Bits> r) {
    if (!r) return Unexpected(std::move(r).error());
    IdSet s;
    s.bits_ = std::move(*r);
    return s;
  }
  detail::Bits bits_;
};

template <>
inline std::string_view IdSet<CpuId>::what() { return "CPU list"; }
template <>
inline std::string_view IdSet<NodeId>::what() { return "node list"; }

using CpuSet = IdSet<CpuId>;
using NodeSet = IdSet<NodeId>;

}  // namespace numapin
