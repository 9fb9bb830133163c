// What a container's config.json (OCI runtime specification) says of CPUs, memory and GPUs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/result.h"

namespace numapin::oci {

struct Container {
  std::map<std::string, std::string> env;          ///< process.env; the last of a name counts, as for NVIDIA's runtime
  std::map<std::string, std::string> annotations;
  std::vector<int> nvidia_minors, render_minors;   ///< of device files: /dev/nvidiaN, /dev/dri/renderDN
  std::vector<std::string> volume_gpus;            ///< GPUs named by mounts below /var/run/nvidia-container-devices
  std::string cpus, mems;                          ///< linux.resources.cpu; "" where not set
  std::string memory_policy;                       ///< linux.memoryPolicy as text, "" where not set
  std::string cgroups_path;
};

/// A longer one is nobody's: engines write some 10 to 100 kB.
constexpr std::size_t kLargestConfigBytes = 8 << 20;

/// Members of another type than the specification's count as absent. Error kBadInput: no JSON object, or too large.
Result<Container> parse_config(std::string_view text);

/// Some sign that GPUs were given to it; false for most containers, which then cost no look at the machine.
bool hints_at_gpus(const Container& c);

}  // namespace numapin::oci
