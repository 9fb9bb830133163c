#include <algorithm>
#include <nlohmann/json.hpp>

#include "oci/features.h"

namespace numapin::oci {

bool sets_memory_mode(std::string_view features, const std::string& mode) {
  const auto document = nlohmann::json::parse(features, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return false;
  const auto linux_part = document.find("linux");
  if (linux_part == document.end() || !linux_part->is_object()) return false;
  const auto policy = linux_part->find("memoryPolicy");
  if (policy == linux_part->end() || !policy->is_object()) return false;
  const auto has = [&](const char* list, const std::string& word) {
    const auto it = policy->find(list);
    return it != policy->end() && it->is_array() && std::find(it->begin(), it->end(), nlohmann::json(word)) != it->end();
  };
  return has("modes", mode) && has("flags", "MPOL_F_STATIC_NODES");
}

}  // namespace numapin::oci
