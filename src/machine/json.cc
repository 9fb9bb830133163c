// to_json(): the document of `topo --json`, described key by key in docs/json.md. Change both together.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "machine/devices.h"
#include "machine/json_null.h"

namespace numapin {

namespace {

using Json = nlohmann::ordered_json;

// ---- values ---------------------------------------------------------------------------------------------------------

Json value(const std::string& s) { return s; }
Json value(int i) { return i; }
Json value(std::uint64_t i) { return i; }
Json value(NodeId id) { return number(id); }
Json value(const PciAddress& a) { return a.to_string(); }
Json value(MemoryKind k) { return to_string(k); }
Json value(const CpuSet& cpus) { return cpus.to_list(); }
Json value(const NodeSet& nodes) {
  auto ids = Json::array();
  for (NodeId id : nodes) ids.push_back(number(id));
  return ids;
}
Json value(const std::map<int, int>& distances) {
  auto out = Json::object();
  for (const auto& [to, distance] : distances) out[std::to_string(to)] = distance;
  return out;
}

Json value(const PciLink& link);
Json value(const MemoryAccess& a);

template <class T>
Json value(const std::optional<T>& v) {
  return v ? value(*v) : Json(nullptr);
}

Json value(const PciLink& link) {
  const int generation = link.generation();
  return {{"gt_per_s", link.gt_per_s},
          {"width", link.width},
          {"generation", generation > 0 ? Json(generation) : Json(nullptr)}};
}
Json value(const MemoryAccess& a) {
  return {{"read_latency_ns", value(a.read_latency_ns)},
          {"write_latency_ns", value(a.write_latency_ns)},
          {"read_bandwidth_mb_per_s", value(a.read_bandwidth_mb_per_s)},
          {"write_bandwidth_mb_per_s", value(a.write_bandwidth_mb_per_s)},
          {"initiators", value(a.initiators)}};
}

Json pci_id(std::uint16_t id) { return id == 0 ? Json(nullptr) : Json(fmt::format("{:04x}", id)); }

/// An object whose facts leave their sources in its last key, "sources".
class FactWriter {
 public:
  Json& operator[](const char* key) { return out_[key]; }
  template <class T>
  void fact(const char* key, const Fact<T>& f) {
    out_[key] = value(f.value);
    if (f) sources_[key] = to_string(f.source);
  }
  /// Locality has its source beside it, because everybody asks for it.
  template <class Device>
  void locality(const Device& d) {
    out_["numa_nodes"] = value(d.numa_nodes.value);
    out_["numa_source"] = d.numa_nodes ? Json(to_string(d.numa_nodes.source)) : Json(nullptr);
    fact("local_cpulist", d.local_cpus);
  }
  Json finish() {
    out_["sources"] = std::move(sources_);
    return std::move(out_);
  }

 private:
  Json out_ = Json::object(), sources_ = Json::object();
};

template <class T, class Convert>
Json array_of(const std::vector<T>& all, Convert convert) {
  auto out = Json::array();
  for (const auto& element : all) out.push_back(convert(element));
  return out;
}

// ---- parts of the machine ---------------------------------------------------------------------------------------------

Json node_json(const NumaNode& n) {
  FactWriter w;
  w["id"] = number(n.id);
  w.fact("cpulist", n.cpus);
  w.fact("memory_total_bytes", n.memory_total_bytes);
  w.fact("memory_free_bytes", n.memory_free_bytes);
  w.fact("kind", n.kind);
  w.fact("distances", n.distances);
  w.fact("access0", n.access0);
  w.fact("gpu", n.gpu);
  return w.finish();
}

Json package_json(const Package& p) { return {{"id", p.id}, {"cpulist", value(p.cpus)}}; }

Json core_json(const Core& c) {
  return {{"cpulist", value(c.cpus)},     {"package", value(c.package)},
          {"numa_node", value(c.node)},   {"kind", text_or_null(c.kind)},
          {"capacity", value(c.capacity)}, {"highest_perf", value(c.highest_perf)}};
}

Json l3_json(const L3Group& g) { return {{"cpulist", value(g.cpus)}, {"size_bytes", value(g.size_bytes)}}; }

Json pci_json(const PciDevice& d) {
  FactWriter w;
  w["address"] = value(d.address);
  w["class"] = fmt::format("{:06x}", d.class_code);
  w["vendor"] = pci_id(d.vendor);
  w["device"] = pci_id(d.device);
  w.fact("numa_node", d.numa_node);
  w.fact("local_cpulist", d.local_cpus);
  w["parent"] = value(d.parent);
  w["host_bridge"] = text_or_null(d.host_bridge);
  w["physfn"] = value(d.physfn);
  w["driver"] = text_or_null(d.driver);
  w.fact("link", d.link);
  w.fact("link_max", d.link_max);
  return w.finish();
}

Json mig_json(const MigInstance& i) {
  return {{"uuid", text_or_null(i.uuid)},
          {"profile", text_or_null(i.profile)},
          {"gpu_instance", value(i.gpu_instance)},
          {"compute_instance", value(i.compute_instance)},
          {"memory_bytes", value(i.memory_bytes)}};
}

std::string device_key(const DeviceRef& ref) {
  constexpr const char* kPrefixes[] = {"GPU", "NIC", "NODE"};
  return fmt::format("{}{}", kPrefixes[static_cast<int>(ref.type)], ref.index);
}

/// The device's row of the link matrix: {"GPU1": "NV12", "NIC0": "PXB"}.
Json row_of_links(const Machine& m, DeviceRef from) {
  auto row = Json::object();
  for (const auto& link : m.links)
    if (link.from == from && link.to != from) row[device_key(link.to)] = to_string(link);
  return row;
}

/// Speed of the PCI function and of the slowest link above it, repeated here from pci[] for convenience.
void add_link_speeds(FactWriter& w, const Machine& m, const std::optional<PciAddress>& address) {
  const auto* function = address ? find_pci(m, *address) : nullptr;
  w["link"] = function ? value(function->link.value) : Json(nullptr);
  w["link_max"] = function ? value(function->link_max.value) : Json(nullptr);
  w["narrowest_link"] = nullptr;
  if (!function) return;
  if (const auto narrowest = narrowest_link(m, *function)) {
    auto link = value(narrowest->link);
    link["at"] = value(narrowest->at);
    w["narrowest_link"] = std::move(link);
  }
}

Json gpu_json(const Machine& m, const Gpu& g) {
  FactWriter w;
  w["index"] = g.index;
  w["address"] = value(g.address);
  w["partition"] = value(g.partition);
  w["name"] = text_or_null(g.name);
  w["vendor"] = pci_id(g.vendor);
  w["device"] = pci_id(g.device);
  w["product"] = text_or_null(device_name(g.vendor, g.device));
  w.fact("uuid", g.uuid);
  w.fact("model", g.model);
  w.fact("memory_bytes", g.memory_bytes);
  w.fact("nvml_index", g.nvml_index);
  w.fact("cuda_ordinal", g.cuda_ordinal);
  w.fact("minor", g.minor);
  w.locality(g);
  w.fact("memory_node", g.memory_node);
  add_link_speeds(w, m, g.address);
  w["mig"] = array_of(g.mig, mig_json);
  w["links"] = row_of_links(m, {DeviceRef::Type::kGpu, g.index});
  return w.finish();
}

Json nic_json(const Machine& m, const Nic& n) {
  FactWriter w;
  w["index"] = n.index;
  w["address"] = value(n.address);
  w["name"] = text_or_null(n.name);
  w["interfaces"] = n.interfaces;
  w["vendor"] = pci_id(n.vendor);
  w["device"] = pci_id(n.device);
  w["infiniband"] = n.infiniband;
  w.locality(n);
  w.fact("speed_mb_per_s", n.speed_mb_per_s);
  w["links"] = row_of_links(m, {DeviceRef::Type::kNic, n.index});
  return w.finish();
}

Json nvme_json(const Nvme& d) {
  FactWriter w;
  w["index"] = d.index;
  w["address"] = value(d.address);
  w["name"] = text_or_null(d.name);
  w.locality(d);
  return w.finish();
}

Json link_json(const Link& l) {
  return {{"from", device_key(l.from)},   {"to", device_key(l.to)},         {"kind", to_string(l.kind)},
          {"count", value(l.count)},      {"version", value(l.version)},    {"weight", value(l.weight)},
          {"source", to_string(l.source)}};
}

Json allowance_json(const Allowance& a) {
  FactWriter w;
  w.fact("cpulist", a.cpus);
  w.fact("numa_nodes", a.mems);
  w["visible"] = a.visible_env;
  w["cgroup"] = text_or_null(a.cgroup);
  return w.finish();
}

Json disagreement_json(const Disagreement& d) {
  return {{"subject", d.subject}, {"kept", d.kept}, {"other", d.other}};
}

}  // namespace

std::string to_json(const System& s) {
  const auto& m = s.machine;
  FactWriter w;
  w["schema"] = "numapin/topo/1";
  w.fact("hostname", m.hostname);
  w.fact("architecture", m.architecture);
  w.fact("cpu_model", m.cpu_model);
  w.fact("kernel_release", m.kernel_release);
  w.fact("driver_version", m.driver_version);
  w.fact("online_cpulist", m.online);
  w.fact("offline_cpulist", m.offline);
  w["numa_nodes"] = array_of(m.nodes, node_json);
  w["packages"] = array_of(m.packages, package_json);
  w["cores"] = array_of(m.cores, core_json);
  w["l3"] = array_of(m.l3, l3_json);
  w["gpus"] = array_of(m.gpus, [&](const Gpu& g) { return gpu_json(m, g); });
  w["nics"] = array_of(m.nics, [&](const Nic& n) { return nic_json(m, n); });
  w["nvme"] = array_of(m.nvme, nvme_json);
  w["pci"] = array_of(m.pci, pci_json);
  w["links"] = array_of(m.links, link_json);
  w["allowance"] = allowance_json(s.allowance);
  w["disagreements"] = array_of(s.disagreements, disagreement_json);
  w["notes"] = m.notes;
  // Host and model names come from firmware: bytes that are not UTF-8 become U+FFFD instead of an exception.
  return w.finish().dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin
