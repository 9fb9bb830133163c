// What GPUs, NICs and NVMe drives have in common; internal to this folder.
#pragma once

#include <optional>
#include <string>

#include "numapin/machine.h"

namespace numapin {

inline std::optional<PciAddress> address_of(const Gpu& d) { return d.address; }
inline std::optional<PciAddress> address_of(const Nic& d) { return d.address; }
inline std::optional<PciAddress> address_of(const Nvme& d) { return d.address; }

inline const char* kind_of(const Gpu&) { return "gpu"; }
inline const char* kind_of(const Nic&) { return "nic"; }
inline const char* kind_of(const Nvme&) { return "nvme"; }

/// "gpu 0000:18:00.0", or "gpu 3" where there is no address: how messages name a device.
template <class Device>
std::string subject_of(const Device& d) {
  const auto address = address_of(d);
  return std::string(kind_of(d)) + " " + (address ? address->to_string() : std::to_string(d.index));
}

/// Computed by us from other facts, not stated by anyone: gives way to a statement.
constexpr bool is_derived(Source s) {
  return s == Source::kBridge || s == Source::kOneNode || s == Source::kCpuList || s == Source::kPciTree;
}

/// Adds to Machine::notes, once.
void add_note(Machine& m, std::string note);

// ---- the steps of complete() and merge() --------------------------------------------------------------------------
/// Sorts every vector by its key, numbers GPUs, NICs and drives in PCI order (those without address last, in the
/// source's order) and carries the new numbers into the links.
void put_in_order(Machine& m);
/// Gives each device the nodes the kernel's numa_node of its PCI function says, where its own are unknown or derived.
void state_kernel_nodes(Machine& m);
void complete_locality(Machine& m);
void complete_links(Machine& m);

}  // namespace numapin
