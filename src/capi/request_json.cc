#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "capi/request.h"

namespace numapin::capi {
namespace {

using Json = nlohmann::json;

enum : unsigned { kPlan = 1, kBind = 2, kInspect = 4, kPlace = 8, kSelf = kPlan | kBind | kPlace, kAll = kSelf | kInspect };

constexpr unsigned bit(Call call) { return 1U << static_cast<unsigned>(call); }

struct Key {
  const char* name;
  unsigned calls;
  const char* wants;  // "a number from 0 on"
  std::function<bool(const Json&, Request&)> read;  // false: not what the key wants
};

bool read_flag(const Json& v, bool& to) {
  if (v.is_boolean()) to = v.get<bool>();
  return v.is_boolean();
}

template <class T>
bool read_count(const Json& v, int least, T& to) {
  constexpr std::int64_t kMost = 1 << 22;  // above any pid and any number of processes
  if (!v.is_number_integer() || v.get<std::int64_t>() < least || v.get<std::int64_t>() > kMost) return false;
  to = v.get<int>();
  return true;
}

template <class T, class Parse>
bool read_word(const Json& v, Parse parse, std::optional<T>& to) {
  if (v.is_string()) to = parse(v.get<std::string>());
  return v.is_string() && to.has_value();
}

template <class Set>
bool read_set(const Json& v, std::optional<Set>& to) {
  if (!v.is_string()) return false;
  auto set = Set::parse(v.get<std::string>());
  if (!set || set->empty()) return false;
  to = std::move(*set);
  return true;
}

/// A text, a number, or an array of both, as one list.
bool read_gpu(const Json& v, std::optional<std::string>& to) {
  const auto item = [](const Json& j) -> std::optional<std::string> {
    if (j.is_string()) return j.get<std::string>();
    if (j.is_number_unsigned()) return std::to_string(j.get<std::uint64_t>());
    return std::nullopt;
  };
  if (!v.is_array()) return (to = item(v)).has_value();
  std::string list;
  for (const auto& element : v) {
    const auto text = item(element);
    if (!text) return false;
    list += (list.empty() ? "" : ",") + *text;
  }
  to = list.empty() ? "none" : list;
  return true;
}

bool read_env(const Json& v, std::optional<Environment>& to) {
  if (!v.is_object()) return false;
  to.emplace();
  for (const auto& [name, value] : v.items()) {
    if (!value.is_string()) return false;
    to->emplace(name, value.get<std::string>());
  }
  return true;
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      {"gpu", kAll, "an index, a text as --gpu takes it, or an array of these", [](const Json& v, Request& r) { return read_gpu(v, r.gpu); }},
      {"local_rank", kSelf, "a number from 0 on, or \"auto\"",
       [](const Json& v, Request& r) { return (r.find_local_rank = v == "auto") || read_count(v, 0, r.local_rank); }},
      {"local_size", kSelf, "a number from 1 on", [](const Json& v, Request& r) { return read_count(v, 1, r.local_size); }},
      {"cpus", kPlan | kBind, "node, socket, l3, exclusive, spread, all or none",
       [](const Json& v, Request& r) { return read_word(v, parse_cpu_scope, r.cpus); }},
      {"memory", kSelf, "preferred, bind, interleave, weighted-interleave, local, default or none",
       [](const Json& v, Request& r) { return read_word(v, parse_memory_mode, r.memory); }},
      {"memory", kInspect, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.with_memory); }},
      {"profile", kPlan | kBind, "training, inference or big-memory",
       [](const Json& v, Request& r) { return read_word(v, parse_profile, r.profile); }},
      {"smt", kPlan | kBind, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.smt); }},
      {"reserve", kPlan | kBind, "a number from 0 on", [](const Json& v, Request& r) { return read_count(v, 0, r.reserve); }},
      {"worker_cores", kPlan | kBind, "a number from 0 on, or \"auto\"",
       [](const Json& v, Request& r) { return (r.auto_worker_cores = v == "auto") || read_count(v, 0, r.worker_cores); }},
      {"per_gpu", kPlan, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.per_gpu); }},
      {"visible", kPlan, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.visible); }},
      {"processes", kPlan, "a number from 1 on", [](const Json& v, Request& r) { return read_count(v, 1, r.processes); }},
      {"processes_per_gpu", kPlan, "a number from 1 on", [](const Json& v, Request& r) { return read_count(v, 1, r.processes_per_gpu); }},
      {"allowed_cpulist", kSelf, "a list of CPUs as 0-3,8", [](const Json& v, Request& r) { return read_set(v, r.allowed_cpus); }},
      {"env", kAll, "an object of texts", [](const Json& v, Request& r) { return read_env(v, r.env); }},
      {"cpulist", kBind, "a list of CPUs as 0-3,8", [](const Json& v, Request& r) { return read_set(v, r.cpulist); }},
      {"migrate", kBind, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.migrate); }},
      {"strict", kBind | kPlace, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.strict); }},
      {"slurm", kBind, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.slurm); }},
      {"dry_run", kBind, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.dry_run); }},
      {"look", kBind, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.look); }},
      {"pid", kInspect, "a process number", [](const Json& v, Request& r) { return read_count(v, 1, r.pid); }},
      {"children", kInspect, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.children); }},
      {"nodes", kPlace | kBind, "a list of nodes as 0-1", [](const Json& v, Request& r) { return read_set(v, r.nodes); }},
      {"huge_pages", kPlace, "true or false", [](const Json& v, Request& r) { return read_flag(v, r.huge_pages); }},
  };
  return all;
}

const Key* find_key(std::string_view name, Call call) {
  for (const auto& key : keys())
    if (name == key.name && (key.calls & bit(call)) != 0) return &key;
  return nullptr;
}

std::string words_of(const Json& value) {
  if (value.is_structured()) return fmt::format("this {}", value.type_name());
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string key_names(Call call) {
  std::string names;
  for (const auto& key : keys())
    if ((key.calls & bit(call)) != 0) names += fmt::format("{}{}", names.empty() ? "" : ", ", key.name);
  return names;
}

}  // namespace

Result<Request> parse_request(std::string_view text, Call call) {
  const auto document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return bad_input("parse the request: it is no JSON object", "the keys are " + key_names(call));
  Request request;
  for (const auto& [name, value] : document.items()) {
    const Key* key = find_key(name, call);
    if (key == nullptr) return bad_input(fmt::format("parse the request: no key '{}' here", name), "the keys are " + key_names(call));
    if (value.is_null()) continue;  // as if it were not there
    if (!key->read(value, request))
      return bad_input(fmt::format("parse the request: {} cannot be {}", name, words_of(value)),
                       fmt::format("it is {}", key->wants));
  }
  return request;
}

}  // namespace numapin::capi
