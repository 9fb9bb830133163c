#include "cli/session.h"

#include <algorithm>

#include "numapin/sources.h"
#include "numapin/visible.h"

namespace numapin::cli {
namespace {

bool names_visible_gpus(std::string_view variable) {
  const auto names = visibility_variables();
  return std::find(names.begin(), names.end(), variable) != names.end();
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

Result<System> Session::system_without_devices(const std::string& machine_option) const {
  if (!machine_option.empty()) return open_machine(machine_option);
  return discover_without_devices(live, visible_env());
}

}  // namespace numapin::cli
