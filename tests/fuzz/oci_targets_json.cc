// What a container engine says: config.json, and a runtime's command line.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "fuzz/target.h"
#include "numapin/sources.h"
#include "oci/cgroup_path.h"
#include "oci/command_line.h"
#include "oci/container.h"
#include "oci/edit.h"
#include "oci/features.h"
#include "oci/settings.h"
#include "oci/splice.h"

namespace numapin::fuzz {
namespace {

using Json = nlohmann::json;

oci::Host host(bool has_field) {
  static const Machine m = open_machine("dual-a100")->machine;
  return {.machine = [](bool) -> Result<Machine> { return m; },
          .allowance = [](const std::string& path) { return (void)oci::parent_cgroup(path, "/own"), Allowance{}; },
          .runtime_sets = [=](const MemoryPolicy&, const std::string&) { return has_field; }};
}

/// Takes the members out that an edit may change; what they were as text.
std::string take_out(Json& document, const Json::json_pointer& at) {
  if (!document.contains(at)) return "";
  const auto value = document[at];
  document[at.parent_pointer()].erase(at.back());
  return value.is_string() ? value.get<std::string>() : "";
}

/// Objects that were made, or were null, on the way to a member do not count as a difference.
void drop_empty(Json& document) {
  for (const char* at : {"/linux/resources/cpu", "/linux/resources", "/linux"}) {
    const Json::json_pointer pointer(at);
    if (document.contains(pointer) && (document[pointer].empty())) document[pointer.parent_pointer()].erase(pointer.back());
  }
}

void demand_only_our_members(std::string_view before, std::string_view after, const oci::Edit& edit) {
  auto old = Json::parse(before), now = Json::parse(after, nullptr, false);
  demand(!now.is_discarded(), "the edited configuration is no JSON");
  const auto user = CpuSet::parse(take_out(old, Json::json_pointer("/linux/resources/cpu/cpus")));
  const auto ours = take_out(now, Json::json_pointer("/linux/resources/cpu/cpus"));
  demand(edit.record.cpus.empty() || ours == edit.record.cpus, "not the CPUs that were decided");
  const auto set = CpuSet::parse(ours);
  demand(!user || user->empty() || (set && user->contains(*set)), "the user's CPUs were widened");
  for (const char* at : {"/linux/resources/cpu/mems", "/linux/memoryPolicy"}) {
    take_out(old, Json::json_pointer(at));
    take_out(now, Json::json_pointer(at));
  }
  drop_empty(old);
  drop_empty(now);
  demand(old == now, "something else was changed");
}

void oci_config(std::string_view bytes) {
  for (const bool has_field : {false, true}) {
    for (const std::string_view policy : {"", "strict,exclusive"}) {
      const auto edit = oci::edit_config(bytes, policy, {}, host(has_field));
      demand(!edit.line.empty(), "no line for the log");
      demand(edit.line.find('\n') == edit.line.npos, "the line for the log has two");
      demand(!edit.refused || (!policy.empty() || bytes.find("strict") != bytes.npos), "refused, and nobody was strict");
      if (!edit.config) continue;
      demand_only_our_members(bytes, *edit.config, edit);
      const auto again = oci::edit_config(*edit.config, policy, edit.record, host(has_field));
      demand(!again.config, "the second edit changes something");
    }
  }
}

/// One word a line.
void runtime_words(std::string_view bytes) {
  std::vector<std::string> words;
  for (const auto line : split_lines(bytes)) words.emplace_back(line);
  const auto c = oci::read_command(words);
  demand(!c.config_path().empty(), "no configuration");
  (void)oci::read_settings(bytes, {});
  (void)oci::sets_memory_mode(bytes, "MPOL_BIND");
  (void)oci::parse_record(bytes);
}

}  // namespace

std::vector<Target> oci_targets() {
  return {{"oci_config", "a container's config.json", oci_config}, {"runtime_words", "a runtime's command line and settings", runtime_words}};
}

}  // namespace numapin::fuzz
