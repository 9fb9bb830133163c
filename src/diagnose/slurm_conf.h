// As much of slurm.conf and gres.conf as tells whether Slurm knows where GPUs are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"

namespace numapin::doctor {

/// The last "Key=value" line of that key; keys in either case, "#" starts a comment.
std::optional<std::string> conf_value(std::string_view text, std::string_view key);

/// Whether "n[1-4,7]" or "n1,n2" names the host. An empty list, or an unknown host (""), is taken to mean it.
bool names_host(std::string_view list, std::string_view host);

struct GresLine {
  std::string text;
  CpuSet minors;                ///< N of File=/dev/nvidiaN, /dev/nvidia[0-3]
  std::optional<CpuSet> cores;  ///< in Slurm's count
};
struct GresLines {
  bool auto_detect = false;     ///< AutoDetect= something but off
  std::vector<GresLine> gpus;   ///< lines for this host with Name=gpu and a File
};
GresLines gres_lines(std::string_view text, std::string_view host);

/// The cores of these nodes in Slurm's count: all cores of the machine from 0 up, package by package, without threads.
CpuSet slurm_cores(const Machine& m, const NodeSet& nodes);

}  // namespace numapin::doctor
