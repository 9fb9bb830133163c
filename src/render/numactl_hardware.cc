#include <fmt/format.h>

#include "render/topo.h"

namespace numapin {
namespace {

std::string megabytes(const Fact<std::uint64_t>& bytes) {
  return bytes ? fmt::format("{} MB", *bytes >> 20) : "<not available>";
}

/// numactl writes runs of two as "0-1" too, which is the kernel's list format.
std::string node_list(const Machine& m) {
  NodeSet ids;
  for (const auto& node : m.nodes) ids.insert(node.id);
  return ids.to_list();
}

/// printf("% 3d "): a blank in place of the sign counts as a column.
std::string cell(int value) { return fmt::format("{: 3d} ", value); }

std::string distance_table(const Machine& m) {
  if (m.nodes.empty() || !m.nodes.front().distances) return "No distance information available.\n";
  std::string text = "node distances:\nnode ";
  for (const auto& to : m.nodes) text += cell(number(to.id));
  for (const auto& from : m.nodes) {
    text += fmt::format("\n{: 3d}: ", number(from.id));
    for (const auto& to : m.nodes) text += cell(distance(m, from.id, to.id).value_or(0));
  }
  return text + "\n";
}

}  // namespace

std::string numactl_hardware(const Machine& m) {
  auto text = fmt::format("available: {} nodes ({})\n", m.nodes.size(), node_list(m));
  for (const auto& node : m.nodes) {
    const int id = number(node.id);
    text += fmt::format("node {} cpus:", id);
    for (const auto cpu : node.cpus.value_or({})) text += fmt::format(" {}", number(cpu));
    text += fmt::format("\nnode {} size: {}\n", id, megabytes(node.memory_total_bytes));
    text += fmt::format("node {} free: {}\n", id, megabytes(node.memory_free_bytes));
  }
  return text + distance_table(m);
}

}  // namespace numapin
