#include "machine/pcie.h"

#include <fmt/format.h>

namespace numapin {

std::string link_name(const PciLink& link) {
  return link.generation() > 0 ? fmt::format("PCIe Gen{} x{}", link.generation(), link.width)
                               : fmt::format("PCIe {:g} GT/s x{}", link.gt_per_s, link.width);
}

std::string payload_words(const PciLink& link) {
  return fmt::format("{}: {:.1f} GB/s after line coding, {:.2f} of it payload (256 bytes a packet, flow control)", link_name(link),
                     link.gb_per_s(), kPciePayload);
}

}  // namespace numapin
