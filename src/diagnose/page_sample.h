// Where a process's pages are, from a random sample of them. Pure but for the question itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace numapin {

struct AddressRange {
  std::uint64_t start = 0, end = 0;
  bool operator==(const AddressRange&) const = default;
};

struct PageShare {
  double share = 0, low = 0, high = 0;  ///< 0 to 1; the true share is between the two in at least 95 of 100 samples
  bool operator==(const PageShare&) const = default;
};

struct PageEstimate {
  std::uint64_t asked = 0, present = 0;  ///< pages of the sample, and those of them that exist
  std::map<int, PageShare> nodes;        ///< of the pages that exist
  bool operator==(const PageEstimate&) const = default;
};

/// The node of each address, or a number below zero where there is no page; nothing where it cannot be asked.
using AskPages = std::function<std::optional<std::vector<int>>(const std::vector<std::uint64_t>& addresses)>;

constexpr int kSamplePages = 4096;  // a share of one half comes out to +-1.8 %; asking for more costs more than reading /proc

/// Asks for about `pages` pages at random. Nothing where asking fails, or where the process's pages lie so thin among its
/// addresses that a sample meets too few of them to tell: then they have to be counted.
///
/// Ranges may be large and nearly empty (allocators and CUDA reserve addresses by the terabyte), so a quarter of the
/// pages goes to find out how full each large range is, and the rest where the pages are. Every page of a range has the
/// same chance; the share is a ratio of two estimated sums, its variance that of the stratified ratio estimator
/// (Cochran, Sampling Techniques, 6.11), and the interval is Wilson's, so that it holds at shares near 0 and 1 too.
std::optional<PageEstimate> sample_pages(const std::vector<AddressRange>& ranges, std::uint64_t page_bytes, int pages,
                                         std::uint64_t seed, const AskPages& ask);

}  // namespace numapin
