#include "cli/session.h"
#include "numapin/sources.h"

namespace numapin::cli {
namespace {

bool names_visible_gpus(std::string_view variable) {
  for (std::string_view name : {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
                                "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"}) {
    if (variable == name) return true;
  }
  return false;
}

}  // namespace

std::map<std::string, std::string> Session::visible_env() const {
  std::map<std::string, std::string> visible;
  for (const auto& [name, value] : env) {
    if (names_visible_gpus(name)) visible.emplace(name, value);
  }
  return visible;
}

Result<System> Session::system(const std::string& machine_option) const {
  if (!machine_option.empty()) return open_machine(machine_option);
  return discover(live, nvml(), visible_env());
}

}  // namespace numapin::cli
