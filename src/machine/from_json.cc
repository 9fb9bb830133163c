// from_json(): reads the document that to_json() writes (docs/json.md). Keys that only repeat others (links by row,
// product, link speeds of GPUs) are not read.
#include <fmt/format.h>

#include <limits>

#include "base/numbers.h"
#include "machine/devices.h"
#include "machine/json_place.h"
#include "numapin/json.h"

namespace numapin {

namespace {

// ---- values --------------------------------------------------------------------------------------------------------------

void read(const Place& p, std::optional<std::string>& out) { out = p.text(); }
void read(const Place& p, std::optional<int>& out) { out = p.integer(); }
void read(const Place& p, std::optional<std::uint64_t>& out) { out = p.size(); }
void read(const Place& p, std::optional<NodeId>& out) {
  if (const auto id = p.integer(0, kMaxIds - 1)) out = static_cast<NodeId>(*id);
}
void read(const Place& p, std::optional<MemoryKind>& out) { out = enumerator(p, MemoryKind::kUnspecified); }
void read(const Place& p, std::optional<PciAddress>& out) {
  const auto text = p.text();
  if (!text) return;
  out = PciAddress::parse(*text);
  if (!out) p.complain(fmt::format("\"{}\" is not a PCI address", *text));
}
void read(const Place& p, std::optional<CpuSet>& out) {
  const auto text = p.text();
  if (!text) return;
  auto parsed = CpuSet::parse(*text);
  if (parsed) out = std::move(*parsed);
  else p.complain(parsed.error().message);
}
void read(const Place& p, std::optional<NodeSet>& out) {
  if (p.is_unknown()) return;
  out.emplace();
  p.each([&](const Place& element) {
    std::optional<NodeId> id;
    element.demand();
    read(element, id);
    if (id) out->insert(*id);
  });
}
void read(const Place& p, std::optional<std::map<int, int>>& out) {
  if (p.is_unknown()) return;
  out.emplace();
  p.each_member([&](const std::string& key, const Place& value) {
    const auto to = parse_number<int>(key);
    if (!to || *to < 0 || *to >= kMaxIds) return value.complain("the key is not a node's number");
    value.demand();
    if (const auto distance = value.integer(1)) out->emplace(*to, *distance);
  });
}
void read(const Place& p, std::optional<PciLink>& out) {
  if (p.is_unknown()) return;
  p["gt_per_s"].demand();
  p["width"].demand();
  out = PciLink{p["gt_per_s"].positive().value_or(0), p["width"].integer(1, 64).value_or(0)};
}
void read(const Place& p, std::optional<MemoryAccess>& out) {
  if (p.is_unknown()) return;
  out.emplace();
  read(p["read_latency_ns"], out->read_latency_ns);
  read(p["write_latency_ns"], out->write_latency_ns);
  read(p["read_bandwidth_mb_per_s"], out->read_bandwidth_mb_per_s);
  read(p["write_bandwidth_mb_per_s"], out->write_bandwidth_mb_per_s);
  std::optional<NodeSet> initiators;
  read(p["initiators"], initiators);
  out->initiators = initiators.value_or(NodeSet{});
}

/// Written by hand, a fact may lack its source: then it is the user's word.
Source source(const Place& p) { return enumerator(p, Source::kUser).value_or(Source::kUser); }

/// A fact of `object`, with its source in "sources".
template <class T>
void fact(const Place& object, const char* key, Fact<T>& out) {
  read(object[key], out.value);
  if (out) out.source = source(object["sources"][key]);
}

template <class Device>
void locality(const Place& object, Device& d) {
  read(object["numa_nodes"], d.numa_nodes.value);
  if (d.numa_nodes) d.numa_nodes.source = source(object["numa_source"]);
  fact(object, "local_cpulist", d.local_cpus);
}

/// Texts that are "" in the model when unknown.
std::string text(const Place& p) { return p.text().value_or(""); }

/// "10de": four hexadecimal digits, 0 when unknown; also classes, six digits.
std::uint32_t hex(const Place& p, std::size_t digits) {
  const auto text = p.text();
  if (!text) return 0;
  const auto value = text->size() == digits ? parse_number<std::uint32_t>(*text, 16) : std::nullopt;
  if (!value) p.complain(fmt::format("\"{}\" is not {} hexadecimal digits", *text, digits));
  return value.value_or(0);
}
std::uint16_t pci_id(const Place& p) { return static_cast<std::uint16_t>(hex(p, 4)); }

/// A key without which the element means nothing.
template <class T>
T required(const Place& p) {
  p.demand();
  std::optional<T> value;
  read(p, value);
  return value.value_or(T{});
}

// ---- parts of the machine --------------------------------------------------------------------------------------------------

NumaNode read_node(const Place& p) {
  NumaNode n;
  n.id = required<NodeId>(p["id"]);
  fact(p, "cpulist", n.cpus);
  fact(p, "memory_total_bytes", n.memory_total_bytes);
  fact(p, "memory_free_bytes", n.memory_free_bytes);
  fact(p, "kind", n.kind);
  fact(p, "distances", n.distances);
  fact(p, "access0", n.access0);
  fact(p, "gpu", n.gpu);
  return n;
}

Package read_package(const Place& p) {
  Package package;
  p["id"].demand();
  // Some kernels number packages -1.
  package.id = p["id"].integer(std::numeric_limits<int>::min()).value_or(0);
  package.cpus = required<CpuSet>(p["cpulist"]);
  return package;
}

Core read_core(const Place& p) {
  Core c;
  c.cpus = required<CpuSet>(p["cpulist"]);
  c.package = p["package"].integer(std::numeric_limits<int>::min());
  read(p["numa_node"], c.node);
  c.kind = text(p["kind"]);
  read(p["capacity"], c.capacity);
  read(p["highest_perf"], c.highest_perf);
  return c;
}

L3Group read_l3(const Place& p) {
  L3Group g;
  g.cpus = required<CpuSet>(p["cpulist"]);
  read(p["size_bytes"], g.size_bytes);
  return g;
}

PciDevice read_pci(const Place& p) {
  PciDevice d;
  d.address = required<PciAddress>(p["address"]);
  d.class_code = hex(p["class"], 6);
  d.vendor = pci_id(p["vendor"]);
  d.device = pci_id(p["device"]);
  fact(p, "numa_node", d.numa_node);
  fact(p, "local_cpulist", d.local_cpus);
  read(p["parent"], d.parent);
  d.host_bridge = text(p["host_bridge"]);
  read(p["physfn"], d.physfn);
  d.driver = text(p["driver"]);
  fact(p, "link", d.link);
  fact(p, "link_max", d.link_max);
  return d;
}

MigInstance read_mig(const Place& p) {
  MigInstance i;
  i.uuid = text(p["uuid"]);
  i.profile = text(p["profile"]);
  read(p["gpu_instance"], i.gpu_instance);
  read(p["compute_instance"], i.compute_instance);
  read(p["memory_bytes"], i.memory_bytes);
  return i;
}

Gpu read_gpu(const Place& p) {
  Gpu g;
  read(p["address"], g.address);
  read(p["partition"], g.partition);
  g.name = text(p["name"]);
  g.vendor = pci_id(p["vendor"]);
  g.device = pci_id(p["device"]);
  fact(p, "uuid", g.uuid);
  fact(p, "model", g.model);
  fact(p, "memory_bytes", g.memory_bytes);
  fact(p, "nvml_index", g.nvml_index);
  fact(p, "cuda_ordinal", g.cuda_ordinal);
  fact(p, "minor", g.minor);
  locality(p, g);
  fact(p, "memory_node", g.memory_node);
  p["mig"].each([&](const Place& i) { g.mig.push_back(read_mig(i)); });
  return g;
}

Nic read_nic(const Place& p) {
  Nic n;
  read(p["address"], n.address);
  n.name = text(p["name"]);
  p["interfaces"].each([&](const Place& i) { n.interfaces.push_back(text(i)); });
  n.vendor = pci_id(p["vendor"]);
  n.device = pci_id(p["device"]);
  n.infiniband = p["infiniband"].boolean().value_or(false);
  locality(p, n);
  fact(p, "speed_mb_per_s", n.speed_mb_per_s);
  return n;
}

Nvme read_nvme(const Place& p) {
  Nvme d;
  d.address = required<PciAddress>(p["address"]);
  d.name = text(p["name"]);
  locality(p, d);
  return d;
}

/// "GPU0", "NIC12", "NODE1": an end of a link, which must exist.
DeviceRef read_end(const Place& p, const Machine& m) {
  p.demand();
  const auto name = text(p);
  DeviceRef ref;
  std::size_t count = m.gpus.size();
  if (name.starts_with("NIC")) ref.type = DeviceRef::Type::kNic, count = m.nics.size();
  if (name.starts_with("NODE")) ref.type = DeviceRef::Type::kNode, count = kMaxIds;
  const auto digits = name.substr(std::min<std::size_t>(name.size(), name.starts_with("NODE") ? 4 : 3));
  const auto index = parse_number<int>(digits);
  const bool has_type = name.starts_with("GPU") || ref.type != DeviceRef::Type::kGpu;
  if (!has_type || !index || *index < 0 || static_cast<std::size_t>(*index) >= count)
    p.complain(fmt::format("\"{}\" is no device of this machine", name));
  ref.index = index.value_or(0);
  return ref;
}

Link read_link(const Place& p, const Machine& m) {
  Link l;
  l.from = read_end(p["from"], m);
  l.to = read_end(p["to"], m);
  p["kind"].demand();
  l.kind = enumerator(p["kind"], LinkKind::kDisconnected).value_or(LinkKind::kSys);
  read(p["count"], l.count);
  read(p["version"], l.version);
  read(p["weight"], l.weight);
  l.source = source(p["source"]);
  return l;
}

/// GPUs, NICs and drives are numbered by their place in the array.
template <class Device, class Read>
void devices(const Place& p, std::vector<Device>& out, Read read_device) {
  p.each([&](const Place& element) {
    out.push_back(read_device(element));
    out.back().index = static_cast<int>(out.size()) - 1;
    if (element["index"].integer().value_or(out.back().index) != out.back().index)
      element["index"].complain("not the place in the array");
  });
}

Machine read_machine(const Place& p) {
  Machine m;
  fact(p, "hostname", m.hostname);
  fact(p, "architecture", m.architecture);
  fact(p, "cpu_model", m.cpu_model);
  fact(p, "kernel_release", m.kernel_release);
  fact(p, "driver_version", m.driver_version);
  fact(p, "online_cpulist", m.online);
  fact(p, "offline_cpulist", m.offline);
  p["numa_nodes"].each([&](const Place& e) { m.nodes.push_back(read_node(e)); });
  p["packages"].each([&](const Place& e) { m.packages.push_back(read_package(e)); });
  p["cores"].each([&](const Place& e) { m.cores.push_back(read_core(e)); });
  p["l3"].each([&](const Place& e) { m.l3.push_back(read_l3(e)); });
  p["pci"].each([&](const Place& e) { m.pci.push_back(read_pci(e)); });
  devices(p["gpus"], m.gpus, read_gpu);
  devices(p["nics"], m.nics, read_nic);
  devices(p["nvme"], m.nvme, read_nvme);
  p["links"].each([&](const Place& e) { m.links.push_back(read_link(e, m)); });
  p["notes"].each([&](const Place& e) { m.notes.push_back(text(e)); });
  put_in_order(m);
  return m;
}

Allowance read_allowance(const Place& p) {
  Allowance a;
  fact(p, "cpulist", a.cpus);
  fact(p, "numa_nodes", a.mems);
  p["visible"].each_member([&](const std::string& key, const Place& value) { a.visible_env[key] = text(value); });
  a.cgroup = text(p["cgroup"]);
  return a;
}

}  // namespace

Result<System> from_json(std::string_view text) {
  NUMAPIN_TRY(const auto document, parse_json(text, "machine"));
  JsonReading reading{"machine", std::nullopt};
  const Place root(&document, "", reading);
  check_schema(root["schema"], "numapin/topo/1");
  System s;
  s.machine = read_machine(root);
  s.allowance = read_allowance(root["allowance"]);
  root["disagreements"].each([&](const Place& p) {
    s.disagreements.push_back({numapin::text(p["subject"]), numapin::text(p["kept"]), numapin::text(p["other"])});
  });
  if (reading.error) return Unexpected(*reading.error);
  return s;
}

}  // namespace numapin
