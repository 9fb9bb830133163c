// What a PCIe link carries: the one place that turns rate and width into GB/s of data.
#pragma once

#include <string>

#include "numapin/machine.h"

namespace numapin {

/// Part of a PCIe link's bytes after line coding that is data: 256 bytes a packet (the usual maximum of servers) with 24
/// more (PCI Express Base Specification: header of 4 words with a 64-bit address, 4 bytes of framing and sequence number, 4
/// of CRC), and 4 % for acknowledgements, flow control and clock compensation. The 4 % are not from the specification: copies
/// were seen to get 55.15 of 63.0 GB/s (H100, docs/measured.md) and 26 to 28 of 31.5 (A100, MI210: docs/analyze.md).
inline constexpr double kPciePayload = 256.0 / (256 + 24) * 0.96;

/// GB/s of data in one direction.
inline double payload_gb_per_s(const PciLink& link) { return link.gb_per_s() * kPciePayload; }
/// "PCIe Gen4 x16", "PCIe 3 GT/s x4"
std::string link_name(const PciLink& link);
/// "PCIe Gen5 x16: 63.0 GB/s after line coding, 0.88 of it payload (256 bytes a packet, flow control)"
std::string payload_words(const PciLink& link);

}  // namespace numapin
