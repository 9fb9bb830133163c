// Numbers, lists, masks, addresses: printing what was read and reading it again gives the same.
#include "fuzz/target.h"
#include "numapin/id_set.h"
#include "numapin/machine.h"

namespace numapin::fuzz {
namespace {

void id_list(std::string_view bytes) {
  const auto set = CpuSet::parse(bytes);
  if (!set) {
    demand(!set.error().message.empty(), "an error without a message");
    return;
  }
  demand(CpuSet::parse(set->to_list()) == *set, "list of " + set->to_list() + " reads back otherwise");
  demand(set->empty() || CpuSet::parse_mask(set->to_mask()) == *set, "mask of " + set->to_list() + " reads back otherwise");
}

void id_mask(std::string_view bytes) {
  const auto set = CpuSet::parse_mask(bytes);
  if (!set) return;
  demand(CpuSet::parse(set->to_list()) == *set, "list of " + set->to_list() + " reads back otherwise");
  demand(set->empty() || CpuSet::parse_mask(set->to_mask()) == *set, "mask " + set->to_mask() + " reads back otherwise");
}

void pci_address(std::string_view bytes) {
  const auto address = PciAddress::parse(bytes);
  if (address) demand(PciAddress::parse(address->to_string()) == *address, address->to_string() + " reads back otherwise");
}

void link_cell(std::string_view bytes) {
  const auto link = parse_link(bytes);
  if (link) demand(parse_link(to_string(*link)) == *link, to_string(*link) + " reads back otherwise");
}

}  // namespace

std::vector<Target> base_targets() {
  return {{"id_list", "CPU and node lists", id_list},
          {"id_mask", "CPU masks", id_mask},
          {"pci_address", "PCI addresses", pci_address},
          {"link_cell", "cells of a GPU matrix", link_cell}};
}

}  // namespace numapin::fuzz
