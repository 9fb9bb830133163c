// The document of `doctor --json`, schema numapin/doctor/1 (docs/json.md).
#include <nlohmann/json.hpp>

#include "machine/json_null.h"
#include "render/doctor.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

Json check_json(const Examination& e) {
  auto findings = Json::array();
  for (const auto& f : e.result.findings)
    findings.push_back({{"severity", to_string(f.severity)},
                        {"about", text_or_null(f.about)},
                        {"is", f.is},
                        {"should_be", f.should},
                        {"mend", text_or_null(f.mend)},
                        {"undo", text_or_null(f.undo)}});
  return {{"id", e.check->id},
          {"family", to_string(e.check->family)},
          {"title", e.check->title},
          {"effect", to_string(e.check->effect)},
          {"cost", e.check->cost},
          {"state", to_string(e.result.state)},
          {"line", e.result.line},
          {"findings", findings}};
}

}  // namespace

std::string doctor_json(const std::vector<Examination>& list, const Setup& setup, const std::vector<std::string>& notes) {
  int counts[3] = {0, 0, 0};
  auto checked = Json::array();
  for (const auto& e : list) {
    checked.push_back(check_json(e));
    for (const auto& f : e.result.findings) ++counts[static_cast<int>(f.severity)];
  }
  const Json document = {{"schema", "numapin/doctor/1"},
                         {"hostname", text_or_null(setup.system.machine.hostname.value_or(""))},
                         {"recorded", setup.recorded},
                         {"problems", counts[static_cast<int>(Severity::kProblem)]},
                         {"warnings", counts[static_cast<int>(Severity::kWarning)]},
                         {"notes", counts[static_cast<int>(Severity::kNote)]},
                         {"checks", checked},
                         {"remarks", notes}};
  // Names and values of variables are bytes of any kind: what is not UTF-8 is replaced, not refused.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin
