// A line of `watch --json`, schema numapin/watch/1 (docs/json.md): written, and read back for --replay.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "machine/json_null.h"
#include "render/watch.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kSchema = "numapin/watch/1";

std::string text_of(const Json& object, const char* key) {
  const auto& value = object.at(key);
  return value.is_null() ? std::string() : value.get<std::string>();
}

/// "0-1" -> [0, 1]; null where no node is known
Json nodes_json(const std::string& list) {
  const auto nodes = NodeSet::parse(list).value_or(NodeSet{});
  if (nodes.empty()) return nullptr;
  auto out = Json::array();
  for (const NodeId node : nodes) out.push_back(number(node));
  return out;
}

std::string nodes_text(const Json& array) {
  NodeSet nodes;
  if (!array.is_null())
    for (const auto& node : array)
      if (const int id = node.get<int>(); id >= 0 && id < kMaxIds) nodes.insert(NodeId{id});
  return nodes.to_list();
}

template <class T>
void read(const Json& object, const char* key, T& to) {
  object.at(key).get_to(to);
}
template <class T>
void read(const Json& object, const char* key, std::optional<T>& to) {
  const auto& value = object.at(key);
  if (!value.is_null()) to = value.get<T>();
}

Json to_json(const NodeRow& n) {
  return {{"node", n.id}, {"cpulist", n.cpulist}, {"total_bytes", or_null(n.total_bytes)}, {"free_bytes", or_null(n.free_bytes)},
          {"hit_pages_per_s", or_null(n.hit_per_s)}, {"miss_pages_per_s", or_null(n.miss_per_s)},
          {"foreign_pages_per_s", or_null(n.foreign_per_s)}};
}

void from_json(const Json& j, NodeRow& n) {
  read(j, "node", n.id);
  read(j, "cpulist", n.cpulist);
  read(j, "total_bytes", n.total_bytes);
  read(j, "free_bytes", n.free_bytes);
  read(j, "hit_pages_per_s", n.hit_per_s);
  read(j, "miss_pages_per_s", n.miss_per_s);
  read(j, "foreign_pages_per_s", n.foreign_per_s);
}

Json to_json(const GpuRow& g) {
  return {{"index", g.index}, {"address", text_or_null(g.address)}, {"model", text_or_null(g.model)}, {"numa_nodes", nodes_json(g.nodes)},
          {"busy_percent", or_null(g.busy_percent)}, {"rx_bytes_per_s", or_null(g.rx_bytes_per_s)},
          {"tx_bytes_per_s", or_null(g.tx_bytes_per_s)}};
}

void from_json(const Json& j, GpuRow& g) {
  read(j, "index", g.index);
  g.address = text_of(j, "address");
  g.model = text_of(j, "model");
  g.nodes = nodes_text(j.at("numa_nodes"));
  read(j, "busy_percent", g.busy_percent);
  read(j, "rx_bytes_per_s", g.rx_bytes_per_s);
  read(j, "tx_bytes_per_s", g.tx_bytes_per_s);
}

Json to_json(const ThreadRow& t) {
  return {{"tid", t.tid}, {"name", t.name}, {"last_cpu", t.last_cpu}, {"local", or_null(t.local)},
          {"cpu_percent", or_null(t.cpu_percent)}, {"migrations_per_s", or_null(t.migrations_per_s)}};
}

void from_json(const Json& j, ThreadRow& t) {
  read(j, "tid", t.tid);
  read(j, "name", t.name);
  read(j, "last_cpu", t.last_cpu);
  read(j, "local", t.local);
  read(j, "cpu_percent", t.cpu_percent);
  read(j, "migrations_per_s", t.migrations_per_s);
}

Json to_json(const ProcessRow& p);
void from_json(const Json& j, ProcessRow& p);

template <class Row>
Json rows(const std::vector<Row>& list) {
  auto out = Json::array();
  for (const auto& row : list) out.push_back(to_json(row));
  return out;
}

template <class Row>
void read_rows(const Json& object, const char* key, std::vector<Row>& to) {
  for (const auto& j : object.at(key)) from_json(j, to.emplace_back());
}

Json to_json(const ProcessRow& p) {
  return {{"pid", p.pid}, {"user_pid", p.user}, {"name", p.name}, {"command", p.command}, {"gpus", p.gpus},
          {"state", p.state}, {"verdict", p.verdict}, {"mend", text_or_null(p.mend)},
          {"cpu_local_percent", or_null(p.cpu_local_percent)}, {"cpu_remote_percent", or_null(p.cpu_remote_percent)},
          {"cpu_unplaced_percent", or_null(p.cpu_unplaced_percent)},
          {"memory_local_bytes", or_null(p.memory_local_bytes)}, {"memory_remote_bytes", or_null(p.memory_remote_bytes)},
          {"memory_age_s", or_null(p.memory_age_s)}, {"memory_sampled", p.memory_sampled},
          {"migrations_per_s", or_null(p.migrations_per_s)}, {"threads", rows(p.threads)}};
}

void from_json(const Json& j, ProcessRow& p) {
  read(j, "pid", p.pid);
  read(j, "user_pid", p.user);
  read(j, "name", p.name);
  read(j, "command", p.command);
  read(j, "gpus", p.gpus);
  read(j, "state", p.state);
  read(j, "verdict", p.verdict);
  p.mend = text_of(j, "mend");
  read(j, "cpu_local_percent", p.cpu_local_percent);
  read(j, "cpu_remote_percent", p.cpu_remote_percent);
  read(j, "cpu_unplaced_percent", p.cpu_unplaced_percent);
  read(j, "memory_local_bytes", p.memory_local_bytes);
  read(j, "memory_remote_bytes", p.memory_remote_bytes);
  // The sum of both is shown: one without the other is nothing.
  if (p.memory_local_bytes.has_value() != p.memory_remote_bytes.has_value()) p.memory_local_bytes = p.memory_remote_bytes = std::nullopt;
  read(j, "memory_age_s", p.memory_age_s);
  read(j, "memory_sampled", p.memory_sampled);
  read(j, "migrations_per_s", p.migrations_per_s);
  read_rows(j, "threads", p.threads);
}

}  // namespace

std::string to_json_line(const WatchFrame& f) {
  const Json document = {{"schema", kSchema}, {"unix_time", f.unix_time}, {"seconds", f.seconds}, {"hostname", text_or_null(f.hostname)},
                         {"nodes", rows(f.nodes)}, {"gpus", rows(f.gpus)}, {"processes", rows(f.processes)}, {"notes", f.notes}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<WatchFrame> parse_watch_line(std::string_view line, const std::string& name) {
  try {
    const auto j = Json::parse(line);
    if (j.at("schema") != kSchema) throw std::invalid_argument(fmt::format("its schema is not {}", kSchema));
    WatchFrame f;
    read(j, "unix_time", f.unix_time);
    read(j, "seconds", f.seconds);
    f.hostname = text_of(j, "hostname");
    read_rows(j, "nodes", f.nodes);
    read_rows(j, "gpus", f.gpus);
    read_rows(j, "processes", f.processes);
    read(j, "notes", f.notes);
    return f;
  } catch (const std::exception& e) {
    return bad_input(fmt::format("read {}: no line of watch --json: {}", name, e.what()), "numapin watch --json > FILE writes such a file");
  }
}

}  // namespace numapin
