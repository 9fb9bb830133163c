// NVIDIA's management library as a table of functions, filled by dlopen: one program for machines with and without it.
// Prototypes are our own and narrow; names and layouts follow NVIDIA's published nvml.h (API version 11 and later).
#pragma once

#include <memory>

#include "numapin/result.h"

namespace numapin {

/// nvmlReturn_t
enum NvmlStatus : int {
  kNvmlSuccess = 0,
  kNvmlNotSupported = 3,
  kNvmlNoPermission = 4,
  kNvmlNotFound = 6,
  kNvmlInsufficientSize = 7,
  kNvmlDriverNotLoaded = 9,
  kNvmlGpuIsLost = 15,
};

using NvmlDevice = struct NvmlDeviceOpaque*;

struct NvmlPciInfo {  // nvmlPciInfo_t
  char bus_id_legacy[16];
  unsigned domain, bus, device;
  unsigned pci_device_id;  // device id in the high 16 bits, vendor id in the low ones
  unsigned pci_subsystem_id;
  char bus_id[32];  // "00000000:18:00.0"
};

struct NvmlMemory {  // nvmlMemory_t, bytes
  unsigned long long total, free, used;
};

struct NvmlAttributes {  // nvmlDeviceAttributes_t
  unsigned multiprocessors, copy_engines, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
  unsigned long long memory_mib;
};

struct NvmlProcess {  // nvmlProcessInfo_t of the _v2 and _v3 calls
  unsigned pid;
  unsigned long long used_bytes;  // all ones: not available
  unsigned gpu_instance, compute_instance;
};

struct NvmlUtilization {  // nvmlUtilization_t: percent of the last sample period that was busy
  unsigned gpu, memory;
};

struct NvmlFieldValue {  // nvmlFieldValue_t
  unsigned field, scope;
  long long timestamp_us, latency_us;
  int type;    // nvmlValueType_t
  int status;  // of this field
  union {
    double real;
    unsigned u32;
    unsigned long u_long;
    unsigned long long u64;
  } value;
};
enum NvmlValueType : int { kNvmlDouble = 0, kNvmlU32 = 1, kNvmlULong = 2, kNvmlU64 = 3 };
/// Bytes since the driver was loaded; may wrap. Driver 535 and later (seen: 0.2-0.4 ms a call).
enum NvmlField : unsigned { kNvmlPcieTxBytes = 197, kNvmlPcieRxBytes = 198 };
enum NvmlPcieCounter : int { kNvmlPcieTx = 0, kNvmlPcieRx = 1 };

enum NvmlRemote : int { kNvmlRemoteGpu = 0, kNvmlRemoteIbmNpu = 1, kNvmlRemoteSwitch = 2, kNvmlRemoteUnknown = 0xff };
enum NvmlScope : unsigned { kNvmlScopeNode = 0, kNvmlScopeSocket = 1 };
constexpr unsigned kNvmlMaxLinks = 36;  // NVML_NVLINK_MAX_LINKS

/// Function pointers; those below the line may be null (an older driver), the ones above never are.
struct NvmlApi {
  int (*init)(unsigned flags);
  int (*shutdown)();
  const char* (*error_string)(int status);
  int (*device_count)(unsigned* count);
  int (*device_by_index)(unsigned index, NvmlDevice* device);
  int (*pci_info)(NvmlDevice, NvmlPciInfo*);
  int (*uuid)(NvmlDevice, char* text, unsigned length);
  // ---------------------------------------------------------------------------------------------------------------
  int (*name)(NvmlDevice, char* text, unsigned length);
  int (*driver_version)(char* text, unsigned length);
  int (*minor_number)(NvmlDevice, unsigned* minor);
  int (*memory_info)(NvmlDevice, NvmlMemory*);
  /// Sizes are in unsigned longs. Both shrink to nothing in a cgroup without near CPUs (trap 13).
  int (*cpu_affinity)(NvmlDevice, unsigned size, unsigned long* cpus, unsigned scope);
  int (*memory_affinity)(NvmlDevice, unsigned size, unsigned long* nodes, unsigned scope);
  /// The node that is the GPU's own memory (Grace), not the host node beside it (trap 3).
  int (*own_memory_node)(NvmlDevice, unsigned* node);
  int (*nvlink_state)(NvmlDevice, unsigned link, int* active);
  int (*nvlink_version)(NvmlDevice, unsigned link, unsigned* version);
  int (*nvlink_remote_pci)(NvmlDevice, unsigned link, NvmlPciInfo*);
  int (*nvlink_remote_type)(NvmlDevice, unsigned link, int* type);
  int (*c2c_mode)(NvmlDevice, unsigned* enabled);
  int (*common_ancestor)(NvmlDevice, NvmlDevice, int* level);
  int (*mig_mode)(NvmlDevice, unsigned* current, unsigned* pending);
  int (*mig_max_count)(NvmlDevice, unsigned* count);
  int (*mig_by_index)(NvmlDevice, unsigned index, NvmlDevice* instance);
  int (*gpu_instance)(NvmlDevice, unsigned* id);
  int (*compute_instance)(NvmlDevice, unsigned* id);
  int (*attributes)(NvmlDevice, NvmlAttributes*);
  /// `count` in: room in `processes`; out: how many there are (kNvmlInsufficientSize: call again with more room).
  int (*compute_processes)(NvmlDevice, unsigned* count, NvmlProcess* processes);
  int (*graphics_processes)(NvmlDevice, unsigned* count, NvmlProcess* processes);
  int (*persistence_mode)(NvmlDevice, int* on);
  int (*cuda_version)(int* version);  ///< the newest that the driver supports: 12040 is 12.4
  int (*utilization)(NvmlDevice, NvmlUtilization*);
  int (*field_values)(NvmlDevice, int count, NvmlFieldValue* values);
  /// Sleeps 20 ms to measure.
  int (*pcie_throughput)(NvmlDevice, int counter, unsigned* kilobyte_per_s);
};

/// Loads and initialises libnvidia-ml.so.1; the table lives as long as the handle.
/// Error kNotFound: no driver on this machine, which is a fact and no fault; others: a driver that does not work.
Result<std::shared_ptr<const NvmlApi>> load_nvml(const std::string& library = "libnvidia-ml.so.1");

}  // namespace numapin
