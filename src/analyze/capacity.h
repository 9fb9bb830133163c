// What each link of a machine can carry, by the best that is known: measured, HMAT, computed, published, or unknown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyze/rates.h"
#include "numapin/analyze.h"

namespace numapin {

class CapacityTable {
 public:
  CapacityTable(const Machine& m, const Measured* measured);

  struct TwoWay {
    std::string kind;
    Capacity up, down;  ///< away from the device, and towards it
  };
  /// Functions and bridges of one wire, the device's end first; empty: no tree. `gpu` where it ends at one, `near` its nodes.
  TwoWay pcie(const std::vector<const PciDevice*>& wire, const Gpu* gpu, const NodeSet& near) const;
  TwoWay c2c(int gpu) const;
  bool has_c2c(const Gpu& gpu) const;
  Capacity memory(const NumaNode& node, int nodes_of_socket, bool has_cpus) const;
  /// One direction between sockets `from` and `to`, where each has `neighbours`. `socket_of`: by position in Machine::nodes.
  Capacity interconnect(int from, int to, int neighbours, const std::vector<int>& socket_of) const;
  std::string interconnect_name() const;
  /// From GPU `from` to GPU `to`; equal: its links to an NVSwitch.
  /// `count`: links of this bond; unknown: the GPU's links are taken to be shared evenly by so many `bonds`.
  Capacity nvlink(int from, int to, std::optional<int> count, int bonds) const;
  Capacity xgmi(int from, int to, std::optional<int> count) const;
  /// NVLinks of a GPU in all; where unknown, more than any has.
  int nvlinks_of(int gpu) const;
  Capacity port(const Nic& nic) const;

  HostRules rules() const;
  std::vector<MeasuredPair> measured_pairs() const;
  void add_notes(std::vector<std::string>& notes) const;

 private:
  std::optional<int> nvlinks_to_cpu(const Gpu& gpu) const;
  TwoWay nvlink_to_cpu(const Gpu& gpu, const GpuRates& rates) const;
  std::optional<double> to_gpu(int gpu, const NodeSet& near, bool towards_gpu) const;
  const Gpu* gpu_at(int index) const;

  const Machine& m_;
  const Measured* measured_;
  std::optional<CpuRates> cpu_;
};

}  // namespace numapin
