#include "render/pci_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/layout.h"

namespace numapin {
namespace {

PciBranch& child(PciBranch& parent, const std::string& key, const PciDevice* bridge) {
  for (auto& b : parent.below) {
    if (b.key == key && b.device == nullptr) return b;
  }
  return parent.below.emplace_back(PciBranch{key, bridge, nullptr, {}});
}

void insert(PciBranch& root, const Machine& m, const DrawnDevice& device) {
  PciBranch* at = &root;
  const auto* pci = device.address ? find_pci(m, *device.address) : nullptr;
  if (pci != nullptr) {
    if (!pci->host_bridge.empty()) at = &child(*at, pci->host_bridge, nullptr);
    auto above = upstream(m, *pci);
    std::reverse(above.begin(), above.end());
    for (const auto* bridge : above) at = &child(*at, bridge->address.to_string(), bridge);
  }
  at->below.push_back({device.name, nullptr, &device, {}});
}

/// A bridge that leads to one thing only says nothing: that thing takes its place.
void collapse(PciBranch& branch) {
  for (auto& b : branch.below) {
    collapse(b);
    if (b.device == nullptr && b.below.size() == 1) {
      PciBranch only = std::move(b.below.front());
      b = std::move(only);
    }
  }
}

}  // namespace

PciBranch pci_tree(const Machine& m, const std::vector<DrawnDevice>& devices) {
  PciBranch root;
  for (const auto& device : devices) insert(root, m, device);
  collapse(root);
  return root;
}

std::string bridge_name(const PciBranch& branch) {
  if (branch.bridge == nullptr) return "host bridge " + clean(branch.key);
  return fmt::format("{} {}", branch.bridge->parent ? "switch" : "root port", branch.key);
}

}  // namespace numapin
