// Published rates by CPU and GPU generation, each with its source. What a machine's own files and measurements say goes
// before; what is not here stays unknown.
#pragma once

#include <optional>
#include <string_view>

#include "numapin/machine.h"

namespace numapin {

struct CpuRates {
  std::string_view name;                   ///< "Ice Lake"
  std::string_view interconnect;           ///< "UPI", "xGMI", "QPI", ...
  double interconnect_gb_per_s = 0;        ///< one direction between two sockets, all links; 0: unknown
  bool interconnect_is_guess = false;      ///< how many links a board wires is assumed
  std::string_view interconnect_because;
  double memory_gb_per_s = 0;              ///< of a socket, every channel filled; 0: unknown
  std::string_view memory_because;
  double peer_weight = 1;                  ///< see HostRules
  std::string_view peer_weight_because;
  double remote_read = 0, remote_write = 0;///< see HostRules; 0: none
  std::string_view remote_because;
  double remote_peer = 0;
  std::string_view remote_peer_because;
  std::string_view remote_peer_unknown;
};

/// By the CPU's model name ("Intel(R) Xeon(R) Platinum 8480C"); nothing for a CPU the table does not have.
std::optional<CpuRates> find_cpu_rates(std::string_view model);

struct GpuRates {
  std::string_view name;           ///< what is looked for in the GPU's name: "A100"
  PciLink pcie;                    ///< where no source tells the link
  int nvlinks = 0;                 ///< a GPU has so many in all; 0: none
  double nvlink_gb_per_s = 0;      ///< one direction of one link, as copies get it
  std::string_view nvlink_because;
  double xgmi_gb_per_s = 0;        ///< one direction of one link
  std::string_view xgmi_because;
  bool shares_memory = false;      ///< CPU and GPU are one package with one memory
  double c2c_to_gpu = 0, c2c_to_cpu = 0;
  std::string_view c2c_because;
};
/// By PCI ids, or where these are unknown by the model the source gave.
std::optional<GpuRates> find_gpu_rates(const Gpu& gpu);

}  // namespace numapin
