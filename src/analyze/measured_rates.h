// Which of bench's figures stands for which traffic. A missing figure is nothing.
#pragma once

#include <algorithm>
#include <optional>

#include "numapin/measured.h"

namespace numapin {

/// One GPU and the memory of a node, alone on the machine.
inline std::optional<double> measured_copy(const Measured& m, NodeId memory, int gpu, bool towards_gpu) {
  return measured_gpu(m, towards_gpu ? Metric::kHostToDevice : Metric::kDeviceToHost, memory, gpu);
}
inline std::optional<double> measured_read(const Measured& m, NodeId cpus, NodeId memory) {
  return measured_memory(m, Metric::kRead, cpus, memory);
}
inline std::optional<double> measured_copy_to(const Measured& m, int gpu, int peer) {
  return measured_peer(m, Metric::kPeerWrite, gpu, peer);
}
/// What a GPU can send to the peer it reaches best.
inline std::optional<double> measured_best_copy(const Measured& m, int gpu) {
  std::optional<double> best;
  for (const auto& other : m.gpus)
    if (other.index != gpu)
      if (const auto rate = measured_copy_to(m, gpu, other.index)) best = std::max(best.value_or(0), *rate);
  return best;
}

}  // namespace numapin
