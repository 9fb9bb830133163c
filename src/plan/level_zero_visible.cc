// ZE_AFFINITY_MASK: Intel GPUs and their tiles.
//
// Source: intel/compute-runtime shared/source/execution_environment/execution_environment.cpp, parseAffinityMask and
// sortNeoDevices: unset, empty or "default" is no limit; entries out of range are skipped, not an end. COMPOSITE: "1" is a
// card, "1.0" a tile of it. FLAT and COMBINED (the default where cards have several tiles): "3" counts tiles over all
// cards, "X.Y" is skipped. The order is PCI order, but with discrete GPUs before integrated ones unless
// ZE_ENABLE_PCI_ID_DEVICE_ORDER=1.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

/// An integrated GPU sits in the root complex itself: bus 0 of its domain.
bool is_integrated(const Gpu& gpu) { return gpu.address && gpu.address->bus == 0; }

struct Tile {
  const Gpu* gpu;
  std::optional<int> number;  ///< nothing: the whole card
};

/// What an entry names; nothing where Level Zero skips it.
std::optional<Tile> resolve(std::string_view entry, const std::vector<const Gpu*>& cards, bool flat) {
  const auto parts = split(trim(entry), '.');
  auto index = parse_number<std::size_t>(parts[0]);
  if (!index || parts.size() > 2 || (flat && parts.size() > 1)) return std::nullopt;
  if (!flat) {
    if (*index >= cards.size()) return std::nullopt;
    if (parts.size() == 1) return Tile{cards[*index], std::nullopt};
    const auto number = parse_number<int>(parts[1]);
    if (!number || *number < 0 || *number >= tiles_of(*cards[*index])) return std::nullopt;
    return Tile{cards[*index], number};
  }
  for (const Gpu* card : cards) {
    const auto tiles = static_cast<std::size_t>(tiles_of(*card));
    if (*index < tiles) return Tile{card, static_cast<int>(*index)};
    *index -= tiles;
  }
  return std::nullopt;
}

/// Devices come in the order of the cards, whatever the order of the mask.
std::vector<ChosenGpu> in_card_order(const std::vector<Tile>& tiles, const std::vector<const Gpu*>& cards) {
  std::vector<ChosenGpu> gpus;
  for (const Gpu* card : cards) {
    std::set<int> numbers;
    bool named = false;
    for (const auto& tile : tiles) {
      if (tile.gpu != card) continue;
      named = true;
      for (int i = 0; i < tiles_of(*card); ++i)
        if (!tile.number || *tile.number == i) numbers.insert(i);
    }
    if (!named) continue;
    ChosenGpu chosen{card->index, "", {}};
    if (static_cast<int>(numbers.size()) < tiles_of(*card)) chosen.tiles.assign(numbers.begin(), numbers.end());
    gpus.push_back(std::move(chosen));
  }
  return gpus;
}

}  // namespace

std::vector<const Gpu*> level_zero_order(const Machine& m, bool pci_order) {
  auto gpus = gpus_of(m, GpuFamily::kLevelZero);
  if (!pci_order) std::stable_partition(gpus.begin(), gpus.end(), [](const Gpu* g) { return !is_integrated(*g); });
  return gpus;
}

int tiles_of(const Gpu& gpu) {
  // Data Center GPU Max with two tiles (pci.ids, vendor 8086); every other GPU shows itself as one device.
  constexpr std::uint16_t kTwoTiles[] = {0x0bd0, 0x0bd5, 0x0bd6, 0x0bd7, 0x0bd8};
  return std::find(std::begin(kTwoTiles), std::end(kTwoTiles), gpu.device) != std::end(kTwoTiles) ? 2 : 1;
}

bool is_flat_hierarchy(const Machine& m, const Allowance& a) {
  const auto mode = variable(a, "ZE_FLAT_DEVICE_HIERARCHY");
  if (mode == "COMPOSITE") return false;
  if (mode == "FLAT" || mode == "COMBINED") return true;
  const auto gpus = gpus_of(m, GpuFamily::kLevelZero);
  return std::any_of(gpus.begin(), gpus.end(), [](const Gpu* g) { return tiles_of(*g) > 1; });
}

VisibleList level_zero_visible(const Machine& m, const Allowance& a) {
  VisibleList view;
  const auto cards = level_zero_order(m, variable(a, "ZE_ENABLE_PCI_ID_DEVICE_ORDER").value_or("0") != "0");
  const auto mask = variable(a, "ZE_AFFINITY_MASK");
  if (cards.empty() || !mask || mask->empty() || *mask == "default") {
    for (const Gpu* gpu : cards) view.gpus.push_back({gpu->index, "", {}});
    return view;
  }
  view.restricted = true;
  const bool flat = is_flat_hierarchy(m, a);
  std::vector<Tile> named;
  for (const auto entry : split(*mask, ',')) {
    if (const auto tile = resolve(entry, cards, flat)) {
      named.push_back(*tile);
    } else {
      view.warnings.push_back(
          fmt::format("ZE_AFFINITY_MASK={}: Level Zero skips \"{}\", which names no device here", *mask, entry));
    }
  }
  view.gpus = in_card_order(named, cards);
  view.because.push_back(fmt::format("ZE_AFFINITY_MASK={}: {}", *mask, gpus_words(view.gpus)));
  return view;
}

}  // namespace numapin
