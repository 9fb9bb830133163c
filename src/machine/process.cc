#include "numapin/process.h"

namespace numapin {

void add_bytes(NodeBytes& to, const NodeBytes& from) {
  for (const auto& [node, bytes] : from) to[node] += bytes;
}

std::uint64_t total_bytes(const NodeBytes& b) {
  std::uint64_t sum = 0;
  for (const auto& [node, bytes] : b) sum += bytes;
  return sum;
}

NodeBytes ProcessMemory::total() const {
  NodeBytes sum = private_;
  add_bytes(sum, huge);
  add_bytes(sum, heap);
  add_bytes(sum, stack);
  return sum;
}

NodeBytes ProcessMemory::own() const {
  NodeBytes sum = total();
  for (const auto& [node, bytes] : file) sum[node] -= bytes;
  return sum;
}

}  // namespace numapin
