// The state file of rebind.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "plan/rebind.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kSchema = "numapin/rebind-state/1";

CpuSet read_cpus(const Json& value) {
  const auto cpus = CpuSet::parse(value.get<std::string>());
  if (!cpus) throw std::invalid_argument(cpus.error().message);
  return *cpus;
}

ProcessChange read_change(const Json& value) {
  ProcessChange p;
  p.pid = value.at("pid").get<int>();
  p.start_ticks = value.at("start_ticks").get<std::uint64_t>();
  p.name = value.at("name").get<std::string>();
  for (const auto& t : value.at("threads"))
    p.threads.push_back({t.at("tid").get<int>(), read_cpus(t.at("before")), read_cpus(t.at("after")), false});
  return p;
}

}  // namespace

std::string to_json(const RebindState& state) {
  Json processes = Json::array();
  for (const auto& p : state.processes) {
    Json threads = Json::array();
    for (const auto& t : p.threads) threads.push_back({{"tid", t.tid}, {"before", t.before.to_list()}, {"after", t.after.to_list()}});
    processes.push_back({{"pid", p.pid}, {"start_ticks", p.start_ticks}, {"name", p.name}, {"threads", std::move(threads)}});
  }
  const Json doc = {{"schema", kSchema}, {"boot_id", state.boot_id}, {"processes", std::move(processes)}};
  return doc.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

Result<RebindState> parse_rebind_state(std::string_view text, const std::string& name) {
  try {
    const auto doc = Json::parse(text);
    if (doc.at("schema") != kSchema) throw std::invalid_argument(fmt::format("its schema is not {}", kSchema));
    RebindState state;
    state.boot_id = doc.at("boot_id").get<std::string>();
    for (const auto& p : doc.at("processes")) state.processes.push_back(read_change(p));
    return state;
  } catch (const std::exception& e) {
    return bad_input(fmt::format("read {}: no state of rebind: {}", name, e.what()), "give the file that rebind named");
  }
}

}  // namespace numapin
