// Judgements of measurements: is this figure what the link should give, and does placement matter here?
#pragma once

#include <optional>
#include <string>

#include "numapin/machine.h"
#include "numapin/measured.h"

namespace numapin {

struct Ceiling {
  double gb_per_s = 0;  ///< one direction
  std::string from;     ///< "PCIe Gen5 x16: 63.0 GB/s after line coding, 0.88 of it payload (...)"
};
/// What the PCIe path of the GPU to its host bridge allows; nothing where no source tells its links.
std::optional<Ceiling> host_ceiling(const Machine& m, const Gpu& gpu);
/// What the link between two GPUs allows: NVLinks by count and generation, else the slower PCIe path of the two.
std::optional<Ceiling> peer_ceiling(const Machine& m, int gpu, int peer_gpu);

/// "normal: 94 % of the ceiling", "low: 41 % of ...", "faster than the link is said to be"; "" without a ceiling.
std::string link_verdict(const Measurement& m);
bool is_low(const Measurement& m);
/// Copies of one GPU alone that are low and that its link is to blame for: memory near to the GPU, or nobody knows which is.
std::vector<const Measurement*> low_copies(const Measured& m);

/// The end of `bench`: what placement is worth here, in plain words, and the command to type.
struct MeasuredVerdict {
  std::string text;
  std::string command;  ///< "numapin launch --gpus all -- COMMAND"
  bool operator==(const MeasuredVerdict&) const = default;
};
MeasuredVerdict measured_verdict(const Measured& measured, const Machine& machine);

}  // namespace numapin
