#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/rebind_outcome.h"
#include "machine/json_null.h"

namespace numapin::cli {
namespace {

using Json = nlohmann::ordered_json;

Json thread_json(const ThreadChange& t) {
  return {{"tid", t.tid}, {"before_cpulist", t.before.to_list()}, {"after_cpulist", t.after.to_list()}, {"own_shape", t.own_shape}};
}

Json moves_json(const std::vector<PageMove>& moves) {
  Json out = Json::array();
  for (const auto& m : moves) out.push_back({{"from", m.from}, {"to", m.to}, {"bytes", m.bytes}});
  return out;
}

Json memory_json(const std::optional<MemoryOutcome>& m) {
  if (!m) return nullptr;
  Json reasons = Json::object();
  for (const auto& [reason, bytes] : m->stayed_by_reason()) reasons[reason] = bytes;
  const auto error = m->timing.error == 0 ? "" : std::strerror(m->timing.error);
  return {{"moved_bytes", m->moved()},
          {"stayed_bytes", m->stayed},
          {"stayed_by_reason", std::move(reasons)},
          {"seconds", m->timing.seconds},
          {"error", text_or_null(error)}};
}

Json process_json(const ProcessOutcome& p) {
  Json threads = Json::array();
  for (const auto& t : p.change.threads) threads.push_back(thread_json(t));
  return {{"pid", p.change.pid},
          {"name", p.change.name},
          {"threads", std::move(threads)},
          {"moves", moves_json(p.change.moves)},
          {"memory", memory_json(p.memory)},
          {"warnings", p.change.warnings}};
}

Json refused_json(const std::vector<BindRefusal>& refused) {
  Json out = Json::array();
  for (const auto& r : refused)
    out.push_back({{"pid", r.pid}, {"tid", r.tid}, {"cpulist", r.asked.to_list()}, {"reason", std::strerror(r.error)}});
  return out;
}

}  // namespace

std::string to_json(const RebindOutcome& o) {
  Json processes = Json::array();
  for (const auto& p : o.processes) processes.push_back(process_json(p));
  Json doc = {{"schema", "numapin/rebind/1"}, {"dry_run", !o.report}, {"undo_file", or_null(o.undo_file)}, {"processes", std::move(processes)}};
  doc["refused"] = refused_json(o.report ? o.report->refused : std::vector<BindRefusal>{});
  doc["left_out_cpulist"] = o.report ? o.report->left_out.to_list() : "";
  doc["settled"] = !o.report || o.report->settled;
  doc["notes"] = o.notes;
  return doc.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace numapin::cli
