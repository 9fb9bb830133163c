// What the administrator says to the wrapper runtime: /etc/numapin/runtime.conf, and above it variables.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace numapin::oci {

struct Settings {
  std::string runtime;   ///< the real one, a path or a name; "": runc, else crun
  std::string policy;    ///< words as in the annotation numapin.policy
  std::string log = "syslog";  ///< a file, "syslog" or "none"
  std::string machine;   ///< a recorded machine to place by; "": this one
  std::vector<std::string> ignored;  ///< lines of the file that say nothing
};

inline constexpr const char* kSettingsFile = "/etc/numapin/runtime.conf";

/// Lines "key = value", "#" begins a comment. Variables NUMAPIN_RUNTIME, NUMAPIN_RUNTIME_POLICY, _LOG and _MACHINE
/// stand above the file's runtime, policy, log and machine.
Settings read_settings(std::string_view file, const std::map<std::string, std::string>& env);

}  // namespace numapin::oci
