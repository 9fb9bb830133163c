#include "oci/settings.h"

#include "base/numbers.h"
#include "base/text.h"

namespace numapin::oci {
namespace {

std::string* value_named(Settings& s, std::string_view key) {
  if (key == "runtime") return &s.runtime;
  if (key == "policy") return &s.policy;
  if (key == "log") return &s.log;
  if (key == "machine") return &s.machine;
  return nullptr;
}

}  // namespace

Settings read_settings(std::string_view file, const std::map<std::string, std::string>& env) {
  Settings s;
  for (const auto whole : split_lines(file)) {
    const auto line = trim(whole.substr(0, whole.find('#')));
    if (line.empty()) continue;
    const auto equals = line.find('=');
    auto* value = equals == line.npos ? nullptr : value_named(s, trim(line.substr(0, equals)));
    if (value != nullptr) *value = trim(line.substr(equals + 1));
    else s.ignored.emplace_back(line);
  }
  for (const auto& [name, key] : {std::pair{"NUMAPIN_RUNTIME", "runtime"}, {"NUMAPIN_RUNTIME_POLICY", "policy"},
                                  {"NUMAPIN_RUNTIME_LOG", "log"}, {"NUMAPIN_RUNTIME_MACHINE", "machine"}})
    if (const auto it = env.find(name); it != env.end() && !it->second.empty()) *value_named(s, key) = it->second;
  return s;
}

}  // namespace numapin::oci
