#include "diagnose/page_sample.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace numapin {
namespace {

// Two-sided 97.5 %: the variance is itself estimated, and the promise is "at least 95 of 100".
constexpr double kZ = 2.2414;
constexpr double kLargePart = 0.01;  // of all addresses: a range with more is a stratum of its own
constexpr int kFewest = 64;          // pages asked of a stratum, to know how full it is

struct Stratum {
  std::vector<AddressRange> ranges;
  std::vector<std::uint64_t> first_page;  // of each range, counted through all of them
  std::uint64_t pages = 0;
  std::uint64_t asked = 0, present = 0;
  std::map<int, std::uint64_t> on;        // node -> pages of the sample

  void add(const AddressRange& r, std::uint64_t page_bytes) {
    ranges.push_back(r);
    first_page.push_back(pages);
    pages += (r.end - r.start) / page_bytes;
  }
  std::uint64_t address(std::uint64_t page, std::uint64_t page_bytes) const {
    const auto at = std::upper_bound(first_page.begin(), first_page.end(), page) - first_page.begin() - 1;
    const auto i = static_cast<std::size_t>(at);
    return ranges[i].start + (page - first_page[i]) * page_bytes;
  }
  /// The pages that exist, as far as is known; never nothing, for more may turn up.
  double filled() const {
    return static_cast<double>(pages) * (static_cast<double>(present) + 0.5) / (static_cast<double>(asked) + 1);
  }
  /// So few of its pages were met that nothing is known of them, and they may be a twentieth of `total` or more.
  bool is_too_thin(double total) const {
    constexpr std::uint64_t kEnough = 16;
    const double most = static_cast<double>(pages) * (static_cast<double>(present) + 3) / static_cast<double>(asked);  // rule of three
    return present < kEnough && most > 0.05 * total;
  }
};

std::vector<Stratum> make_strata(const std::vector<AddressRange>& ranges, std::uint64_t page_bytes) {
  std::uint64_t total = 0;
  for (const auto& r : ranges) total += r.end > r.start ? r.end - r.start : 0;
  std::vector<Stratum> strata;
  Stratum small;
  for (const auto& r : ranges) {
    if (r.end < r.start + page_bytes) continue;
    if (static_cast<double>(r.end - r.start) < kLargePart * static_cast<double>(total)) small.add(r, page_bytes);
    else strata.emplace_back().add(r, page_bytes);
  }
  if (small.pages > 0) strata.push_back(std::move(small));
  return strata;
}

class Sampler {
 public:
  Sampler(std::uint64_t page_bytes, std::uint64_t seed, const AskPages& ask) : page_bytes_(page_bytes), random_(seed), ask_(ask) {}

  /// Asks of each stratum as many pages as `counts` says, in one question: sorted, because neighbours share page tables.
  bool draw(std::vector<Stratum>& strata, const std::vector<int>& counts) {
    std::vector<std::pair<std::uint64_t, std::size_t>> drawn;  // address, stratum
    for (std::size_t s = 0; s < strata.size(); ++s) {
      std::uniform_int_distribution<std::uint64_t> page(0, strata[s].pages - 1);
      for (int i = 0; i < counts[s]; ++i) drawn.emplace_back(strata[s].address(page(random_), page_bytes_), s);
    }
    std::sort(drawn.begin(), drawn.end());
    std::vector<std::uint64_t> addresses;
    for (const auto& [address, s] : drawn) addresses.push_back(address);
    const auto nodes = ask_(addresses);
    if (!nodes || nodes->size() != drawn.size()) return false;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      auto& stratum = strata[drawn[i].second];
      ++stratum.asked;
      if ((*nodes)[i] < 0) continue;
      ++stratum.present;
      ++stratum.on[(*nodes)[i]];
    }
    return true;
  }

 private:
  std::uint64_t page_bytes_;
  std::mt19937_64 random_;
  const AskPages& ask_;
};

PageShare wilson(double share, double samples) {
  const double z2 = kZ * kZ, middle = (share + z2 / (2 * samples)) / (1 + z2 / samples);
  const double half = kZ / (1 + z2 / samples) * std::sqrt(share * (1 - share) / samples + z2 / (4 * samples * samples));
  return {share, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

/// `total`: the pages that exist, estimated.
PageShare share_of(const std::vector<Stratum>& strata, int node, double total) {
  double sum = 0;
  for (const auto& s : strata)
    if (const auto on = s.on.find(node); on != s.on.end() && s.asked > 0)
      sum += static_cast<double>(s.pages) * static_cast<double>(on->second) / static_cast<double>(s.asked);
  const double share = sum / total;
  double variance = 0, present = 0;
  for (const auto& s : strata) {
    if (s.asked < 2) continue;
    const auto on = s.on.find(node);
    const double n = static_cast<double>(s.asked), here = on == s.on.end() ? 0 : static_cast<double>(on->second);
    const double elsewhere = static_cast<double>(s.present) - here;
    // Each page counts (is on the node) - share * (exists): 1 - share, -share, or nothing.
    const double mean = (here * (1 - share) - elsewhere * share) / n;
    const double squares = here * (1 - share) * (1 - share) + elsewhere * share * share;
    variance += static_cast<double>(s.pages) * static_cast<double>(s.pages) * (squares - n * mean * mean) / (n - 1) / n;
    present += static_cast<double>(s.present);
  }
  variance /= total * total;
  // A sample of one answer has no variance and still says little: never more than the pages seen.
  const double samples = variance > 0 ? std::min(present, share * (1 - share) / variance) : present;
  return wilson(share, std::max(samples, 1.0));
}

}  // namespace

std::optional<PageEstimate> sample_pages(const std::vector<AddressRange>& ranges, std::uint64_t page_bytes, int pages,
                                         std::uint64_t seed, const AskPages& ask) {
  auto strata = make_strata(ranges, page_bytes);
  if (strata.empty()) return std::nullopt;
  Sampler sampler(page_bytes, seed, ask);
  const int pilot = std::max(kFewest, pages / 4 / static_cast<int>(strata.size()));
  if (!sampler.draw(strata, std::vector<int>(strata.size(), pilot))) return std::nullopt;
  double filled = 0;
  for (const auto& s : strata) filled += s.filled();
  std::vector<int> counts;
  for (const auto& s : strata) counts.push_back(static_cast<int>(s.filled() / filled * pages * 3 / 4));
  if (!sampler.draw(strata, counts)) return std::nullopt;
  PageEstimate e;
  double total = 0;
  std::map<int, bool> nodes;
  for (const auto& s : strata) {
    e.asked += s.asked;
    e.present += s.present;
    total += static_cast<double>(s.pages) * static_cast<double>(s.present) / static_cast<double>(s.asked);
    for (const auto& [node, count] : s.on) nodes[node] = true;
  }
  if (e.present == 0 || std::any_of(strata.begin(), strata.end(), [&](const auto& s) { return s.is_too_thin(total); })) return std::nullopt;
  for (const auto& [node, seen] : nodes) e.nodes[node] = share_of(strata, node, total);
  return e;
}

}  // namespace numapin
