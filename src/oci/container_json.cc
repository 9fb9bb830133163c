#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/numbers.h"
#include "base/text.h"
#include "oci/container.h"
#include "oci/gpus.h"

namespace numapin::oci {
namespace {

using Json = nlohmann::json;

/// The member, or null where the path leads nowhere.
const Json& at(const Json& object, std::initializer_list<const char*> path) {
  static const Json kNothing;
  const Json* here = &object;
  for (const char* key : path) {
    if (!here->is_object()) return kNothing;
    const auto it = here->find(key);
    if (it == here->end()) return kNothing;
    here = &*it;
  }
  return *here;
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

std::map<std::string, std::string> variables(const Json& list) {
  std::map<std::string, std::string> env;
  if (!list.is_array()) return env;
  for (const auto& entry : list) {
    const auto text = text_of(entry);
    if (const auto equals = text.find('='); equals != text.npos) env[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return env;
}

std::map<std::string, std::string> texts(const Json& object) {
  std::map<std::string, std::string> out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.items())
    if (value.is_string()) out[key] = value.get<std::string>();
  return out;
}

/// "/dev/nvidia3" -> 3 for the prefix "/dev/nvidia"
std::optional<int> number_behind(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  return parse_number<int>(path.substr(prefix.size()));
}

/// Engines list device files, or bind them in (docker without root).
void add_path(std::string_view path, Container& c) {
  constexpr std::string_view kVolumes = "/var/run/nvidia-container-devices/";
  if (const auto minor = number_behind(path, "/dev/nvidia")) c.nvidia_minors.push_back(*minor);
  if (const auto minor = number_behind(path, "/dev/dri/renderD")) c.render_minors.push_back(*minor);
  if (path.starts_with(kVolumes)) c.volume_gpus.emplace_back(path.substr(kVolumes.size()));
}

}  // namespace

Result<Container> parse_config(std::string_view text) {
  if (text.size() > kLargestConfigBytes)
    return bad_input(fmt::format("read config.json: {} bytes, more than {}", text.size(), kLargestConfigBytes));
  const auto document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return bad_input("read config.json: it is no JSON object");
  Container c;
  c.env = variables(at(document, {"process", "env"}));
  c.annotations = texts(at(document, {"annotations"}));
  for (const auto& [list, key] : {std::pair{&at(document, {"linux", "devices"}), "path"}, {&at(document, {"mounts"}), "destination"}}) {
    if (!list->is_array()) continue;
    for (const auto& entry : *list) add_path(text_of(at(entry, {key})), c);
  }
  c.cpus = text_of(at(document, {"linux", "resources", "cpu", "cpus"}));
  c.mems = text_of(at(document, {"linux", "resources", "cpu", "mems"}));
  if (const auto& policy = at(document, {"linux", "memoryPolicy"}); !policy.is_null()) c.memory_policy = policy.dump(-1, ' ', false, Json::error_handler_t::replace);
  c.cgroups_path = text_of(at(document, {"linux", "cgroupsPath"}));
  return c;
}

bool hints_at_gpus(const Container& c) {
  return !c.nvidia_minors.empty() || !c.render_minors.empty() || !c.volume_gpus.empty() || !nvidia_list(c).empty() ||
         !cdi_devices(c).empty();
}

}  // namespace numapin::oci
