// A stand-in for libnvidia-ml.so.1: answers from the JSON file that $NUMAPIN_FAKE_NVML names.
//
//   {"driver": "550.54.15", "init": 0,
//    "gpus": [{"address": "0000:18:00.0", "device": "2330", "uuid": "GPU-...", "name": "NVIDIA H100 80GB HBM3",
//              "minor": 0, "memory_mib": 81559, "cpus": [0, 1], "nodes": [0], "own_node": 1,
//              "switch_links": 18, "peers": {"0000:19:00.0": 12}, "version": 4, "levels": {"1": 50},
//              "mig": [{"uuid": "MIG-...", "gi": 1, "ci": 0, "name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "memory_mib": 9856}],
//              "processes": [{"pid": 4242, "mib": 100}],
//              "busy": 98, "rx_bytes": 1000, "tx_bytes": 10, "rx_kb_per_s": 7, "tx_kb_per_s": 1}],
//    "fail": {"nvmlDeviceGetUUID": 4}}
//
// A function in "fail" returns that status always. What a GPU leaves out is "not supported".
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gpu/nvml.h"

namespace {

using nlohmann::json;
using numapin::NvmlDevice;

const json& description() {
  static const json d = [] {
    const char* name = std::getenv("NUMAPIN_FAKE_NVML");
    if (name == nullptr) return json{{"gpus", json::array()}};
    std::ifstream file(name);
    return json::parse(file);
  }();
  return d;
}

/// A device handle points into the description.
const json& of(NvmlDevice device) { return *reinterpret_cast<const json*>(device); }
NvmlDevice handle(const json& j) { return reinterpret_cast<NvmlDevice>(const_cast<json*>(&j)); }

int forced(const char* function) {
  const auto& d = description();
  return d.contains("fail") && d["fail"].contains(function) ? d["fail"][function].get<int>() : 0;
}

int text(NvmlDevice device, const char* key, char* out, unsigned length) {
  if (!of(device).contains(key)) return numapin::kNvmlNotSupported;
  const auto value = of(device)[key].get<std::string>();
  if (value.size() + 1 > length) return numapin::kNvmlInsufficientSize;
  std::memcpy(out, value.c_str(), value.size() + 1);
  return 0;
}

int number(NvmlDevice device, const char* key, unsigned* out) {
  if (!of(device).contains(key)) return numapin::kNvmlNotSupported;
  *out = of(device)[key].get<unsigned>();
  return 0;
}

int bits(NvmlDevice device, const char* key, unsigned size, unsigned long* words) {
  if (!of(device).contains(key)) return numapin::kNvmlNotSupported;
  std::fill(words, words + size, 0UL);
  for (const auto& id : of(device)[key])
    if (id.get<unsigned>() / 64 < size) words[id.get<unsigned>() / 64] |= 1UL << (id.get<unsigned>() % 64);
  return 0;
}

void fill_pci(const std::string& address, const std::string& device_id, numapin::NvmlPciInfo* pci) {
  unsigned function = 0;
  std::memset(pci, 0, sizeof *pci);
  std::sscanf(address.c_str(), "%x:%x:%x.%x", &pci->domain, &pci->bus, &pci->device, &function);
  pci->pci_device_id = static_cast<unsigned>(std::strtoul(device_id.c_str(), nullptr, 16)) << 16 | 0x10deU;
  std::snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
}

/// The address of the peer that `link` ends in; links count over the peers in order, then over the switches.
std::string peer_of(const json& gpu, unsigned link) {
  const auto peers = gpu.value("peers", json::object());
  for (const auto& [address, count] : peers.items()) {
    if (link < count.get<unsigned>()) return address;
    link -= count.get<unsigned>();
  }
  return {};
}
unsigned peer_links(const json& gpu) {
  unsigned n = 0;
  const auto peers = gpu.value("peers", json::object());
  for (const auto& [address, count] : peers.items()) n += count.get<unsigned>();
  return n;
}

int processes(NvmlDevice device, unsigned* count, numapin::NvmlProcess* out) {
  const auto list = of(device).value("processes", json::array());
  const unsigned room = *count;
  *count = static_cast<unsigned>(list.size());
  if (room < *count) return numapin::kNvmlInsufficientSize;
  for (unsigned i = 0; i < *count; ++i)
    out[i] = {list[i]["pid"].get<unsigned>(), list[i].value("mib", 0ULL) << 20, ~0U, ~0U};
  return 0;
}

}  // namespace

#define FORCED() if (const int status = forced(__func__); status != 0) return status

extern "C" {

int nvmlInitWithFlags(unsigned) { return description().value("init", 0); }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int status) {
  switch (status) {
    case numapin::kNvmlNotSupported: return "Not Supported";
    case numapin::kNvmlNoPermission: return "Insufficient Permissions";
    case numapin::kNvmlDriverNotLoaded: return "Driver Not Loaded";
    case numapin::kNvmlGpuIsLost: return "GPU is lost";
    default: return "Unknown Error";
  }
}
int nvmlSystemGetDriverVersion(char* out, unsigned length) {
  FORCED();
  std::snprintf(out, length, "%s", description().value("driver", std::string("0")).c_str());
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  FORCED();
  *count = static_cast<unsigned>(description()["gpus"].size());
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, NvmlDevice* device) {
  FORCED();
  *device = handle(description()["gpus"][index]);
  return of(*device).value("lost", false) ? static_cast<int>(numapin::kNvmlGpuIsLost) : 0;
}
int nvmlDeviceGetPciInfo_v3(NvmlDevice d, numapin::NvmlPciInfo* pci) {
  FORCED();
  fill_pci(of(d)["address"], of(d).value("device", std::string("0")), pci);
  return 0;
}
int nvmlDeviceGetUUID(NvmlDevice d, char* out, unsigned n) { FORCED(); return text(d, "uuid", out, n); }
int nvmlDeviceGetName(NvmlDevice d, char* out, unsigned n) { FORCED(); return text(d, "name", out, n); }
int nvmlDeviceGetMinorNumber(NvmlDevice d, unsigned* out) { FORCED(); return number(d, "minor", out); }
int nvmlDeviceGetMemoryInfo(NvmlDevice d, numapin::NvmlMemory* out) {
  FORCED();
  unsigned mib = 0;
  if (const int status = number(d, "memory_mib", &mib); status != 0) return status;
  const auto total = static_cast<unsigned long long>(mib) << 20;
  *out = {total, total, 0};
  return 0;
}
int nvmlDeviceGetCpuAffinityWithinScope(NvmlDevice d, unsigned n, unsigned long* out, unsigned) {
  FORCED();
  return bits(d, "cpus", n, out);
}
int nvmlDeviceGetMemoryAffinity(NvmlDevice d, unsigned n, unsigned long* out, unsigned) {
  FORCED();
  return bits(d, "nodes", n, out);
}
int nvmlDeviceGetNumaNodeId(NvmlDevice d, unsigned* out) { FORCED(); return number(d, "own_node", out); }
int nvmlDeviceGetNvLinkState(NvmlDevice d, unsigned link, int* active) {
  FORCED();
  const auto links = peer_links(of(d)) + of(d).value("switch_links", 0U);
  if (links == 0) return numapin::kNvmlNotSupported;
  *active = link < links ? 1 : 0;
  return 0;
}
int nvmlDeviceGetNvLinkVersion(NvmlDevice d, unsigned, unsigned* out) { FORCED(); return number(d, "version", out); }
int nvmlDeviceGetNvLinkRemoteDeviceType(NvmlDevice d, unsigned link, int* type) {
  FORCED();
  *type = peer_of(of(d), link).empty() ? numapin::kNvmlRemoteSwitch : numapin::kNvmlRemoteGpu;
  return 0;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(NvmlDevice d, unsigned link, numapin::NvmlPciInfo* pci) {
  FORCED();
  const auto address = peer_of(of(d), link);
  if (address.empty()) return numapin::kNvmlNotSupported;
  fill_pci(address, "0", pci);
  return 0;
}
int nvmlDeviceGetTopologyCommonAncestor(NvmlDevice a, NvmlDevice b, int* level) {
  FORCED();
  const auto& gpus = description()["gpus"];
  const auto to = std::to_string(&of(b) - &gpus[0]);
  if (!of(a).contains("levels") || !of(a)["levels"].contains(to)) return numapin::kNvmlNotSupported;
  *level = of(a)["levels"][to].get<int>();
  return 0;
}
int nvmlDeviceGetMigMode(NvmlDevice d, unsigned* current, unsigned* pending) {
  FORCED();
  *current = *pending = of(d).contains("mig") ? 1 : 0;
  return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(NvmlDevice d, unsigned* count) {
  FORCED();
  *count = static_cast<unsigned>(of(d).value("mig", json::array()).size());
  return 0;
}
int nvmlDeviceGetMigDeviceHandleByIndex(NvmlDevice d, unsigned index, NvmlDevice* instance) {
  FORCED();
  if (of(d)["mig"][index].is_null()) return numapin::kNvmlNotFound;  // an empty slot
  *instance = handle(of(d)["mig"][index]);
  return 0;
}
int nvmlDeviceGetPersistenceMode(NvmlDevice d, int* on) {
  FORCED();
  if (!of(d).contains("persistence")) return numapin::kNvmlNotSupported;
  *on = of(d)["persistence"].get<bool>() ? 1 : 0;
  return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  FORCED();
  *version = description().value("cuda", 0);
  return 0;
}
int nvmlDeviceGetGpuInstanceId(NvmlDevice d, unsigned* out) { FORCED(); return number(d, "gi", out); }
int nvmlDeviceGetComputeInstanceId(NvmlDevice d, unsigned* out) { FORCED(); return number(d, "ci", out); }
int nvmlDeviceGetComputeRunningProcesses_v3(NvmlDevice d, unsigned* count, numapin::NvmlProcess* out) {
  FORCED();
  return processes(d, count, out);
}

int nvmlDeviceGetUtilizationRates(NvmlDevice d, numapin::NvmlUtilization* out) {
  FORCED();
  return number(d, "busy", &out->gpu);
}
/// The byte counters grow by what the description says at every call.
int nvmlDeviceGetFieldValues(NvmlDevice d, int count, numapin::NvmlFieldValue* values) {
  FORCED();
  static unsigned long long calls = 0;
  ++calls;
  for (int i = 0; i < count; ++i) {
    unsigned step = 0;
    values[i].status = number(d, values[i].field == numapin::kNvmlPcieRxBytes ? "rx_bytes" : "tx_bytes", &step);
    values[i].type = numapin::kNvmlU64;
    values[i].value.u64 = step * calls;
  }
  return 0;
}
int nvmlDeviceGetPcieThroughput(NvmlDevice d, int counter, unsigned* out) {
  FORCED();
  return number(d, counter == numapin::kNvmlPcieRx ? "rx_kb_per_s" : "tx_kb_per_s", out);
}

}  // extern "C"
