// The documents of numapin_place_memory() and numapin_memory_nodes(), schema numapin/memory/1 (docs/json.md).
#include <nlohmann/json.hpp>

#include "capi/memory.h"
#include "plan/policy_text.h"

namespace numapin::capi {
namespace {

using Json = nlohmann::ordered_json;

Json bytes_json(const RangeNodes& found) {
  auto out = Json::object();
  for (const auto& [node, bytes] : found.bytes) out[std::to_string(node)] = bytes;
  return out;
}

std::string text_of(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string to_json(const RangeNodes& found) {
  return text_of({{"schema", "numapin/memory/1"}, {"bytes_by_node", bytes_json(found)}, {"absent_bytes", found.absent}});
}

std::string to_json(const MemoryReport& r) {
  auto nodes = Json::array(), losses = Json::array();
  for (const NodeId node : r.nodes) nodes.push_back(number(node));
  for (const auto& loss : r.losses) losses.push_back({{"message", loss.message}, {"hint", loss.hint}});
  return text_of({{"schema", "numapin/memory/1"},
                  {"numa_nodes", r.nodes.empty() ? Json(nullptr) : nodes},
                  {"policy", std::string(kernel_word(r.policy.mode))},
                  {"bytes_by_node", r.found ? bytes_json(*r.found) : Json(nullptr)},
                  {"absent_bytes", r.found ? Json(r.found->absent) : Json(nullptr)},
                  {"because", r.because},
                  {"warnings", r.warnings},
                  {"losses", losses}});
}

}  // namespace numapin::capi
