// One NUMA node drawn: cores by L3, memory, and the PCI tree with its devices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/machine.h"
#include "render/pci_drawing.h"
#include "render/plan_tints.h"
#include "render/svg_canvas.h"

namespace numapin {

/// What stands together in the drawing of a machine: a node, the devices between several nodes, or those of unknown node.
struct NodeCard {
  std::string title;              ///< "Node 0"
  std::string remark;             ///< "package 0", or why there is a card that is no node
  const NumaNode* node = nullptr; ///< null: no node
  CpuSet cpus;
  std::vector<DrawnDevice> devices;
};
/// Every card of the machine, nodes by number first. Points into the machine.
std::vector<NodeCard> node_cards(const Machine& m);

/// CPUs outside of `allowed` (if any) are outlined only.
Drawing draw_node_card(const Machine& m, const NodeCard& card, const PlanTints& tints, const std::optional<CpuSet>& allowed,
                       double width);

/// The cores of `cpus` in boxes by L3 group.
Drawing draw_cores(const Machine& m, const CpuSet& cpus, const PlanTints& tints, const std::optional<CpuSet>& allowed,
                   double width);
/// The PCI tree above the devices; lines as thick as links are wide.
Drawing draw_pci_tree(const Machine& m, const std::vector<DrawnDevice>& devices, const PlanTints& tints, double width);

}  // namespace numapin
