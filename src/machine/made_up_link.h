// Link registers that say nothing of a card's speed.
#pragma once

#include "numapin/machine.h"

namespace numapin {

/// Intel's discrete GPUs sit behind a switch on the card; the GPU and the port above it both claim one lane at 2.5 GT/s, the
/// least that the specification allows, and the real link is that of the switch's upstream port (B580:
/// geerlingguy/raspberry-pi-pcie-devices#695). For the way up from a GPU only: an old network card does have such a link.
inline bool has_made_up_link(const PciDevice& d) {
  constexpr std::uint16_t kIntel = 0x8086;
  constexpr std::uint32_t kDisplay = 0x03, kBridge = 0x06;
  const auto base = d.class_code >> 16;
  return d.vendor == kIntel && (base == kDisplay || base == kBridge) && d.link_max && d.link_max->width <= 1 && d.link_max->gt_per_s <= 2.5;
}

}  // namespace numapin
