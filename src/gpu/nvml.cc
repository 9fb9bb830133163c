#include "gpu/nvml.h"

#include "gpu/library.h"

namespace numapin {
namespace {

struct Loaded {
  Library library;
  NvmlApi api{};
  bool initialised = false;

  explicit Loaded(Library l) : library(std::move(l)) {}
  Loaded(Loaded&&) = delete;
  Loaded& operator=(Loaded&&) = delete;
  ~Loaded() {
    if (initialised) api.shutdown();
  }
};

/// Name of the first required function that the library lacks, or null.
const char* fill_required(const Library& lib, NvmlApi& api) {
  if (!lib.find("nvmlInitWithFlags", api.init)) return "nvmlInitWithFlags";
  if (!lib.find("nvmlShutdown", api.shutdown)) return "nvmlShutdown";
  if (!lib.find("nvmlErrorString", api.error_string)) return "nvmlErrorString";
  if (!lib.find("nvmlDeviceGetCount_v2", api.device_count)) return "nvmlDeviceGetCount_v2";
  if (!lib.find("nvmlDeviceGetHandleByIndex_v2", api.device_by_index)) return "nvmlDeviceGetHandleByIndex_v2";
  if (!lib.find("nvmlDeviceGetPciInfo_v3", api.pci_info)) return "nvmlDeviceGetPciInfo_v3";
  if (!lib.find("nvmlDeviceGetUUID", api.uuid)) return "nvmlDeviceGetUUID";
  return nullptr;
}

void fill_optional(const Library& lib, NvmlApi& api) {
  lib.find("nvmlDeviceGetName", api.name);
  lib.find("nvmlSystemGetDriverVersion", api.driver_version);
  lib.find("nvmlDeviceGetMinorNumber", api.minor_number);
  lib.find("nvmlDeviceGetMemoryInfo", api.memory_info);
  lib.find("nvmlDeviceGetCpuAffinityWithinScope", api.cpu_affinity);
  lib.find("nvmlDeviceGetMemoryAffinity", api.memory_affinity);
  lib.find("nvmlDeviceGetNumaNodeId", api.own_memory_node);
  lib.find("nvmlDeviceGetNvLinkState", api.nvlink_state);
  lib.find("nvmlDeviceGetNvLinkVersion", api.nvlink_version);
  lib.find("nvmlDeviceGetNvLinkRemotePciInfo_v2", api.nvlink_remote_pci);
  lib.find("nvmlDeviceGetNvLinkRemoteDeviceType", api.nvlink_remote_type);
  lib.find("nvmlDeviceGetC2cModeInfoV", api.c2c_mode);
  lib.find("nvmlDeviceGetTopologyCommonAncestor", api.common_ancestor);
  lib.find("nvmlDeviceGetMigMode", api.mig_mode);
  lib.find("nvmlDeviceGetMaxMigDeviceCount", api.mig_max_count);
  lib.find("nvmlDeviceGetMigDeviceHandleByIndex", api.mig_by_index);
  lib.find("nvmlDeviceGetGpuInstanceId", api.gpu_instance);
  lib.find("nvmlDeviceGetComputeInstanceId", api.compute_instance);
  lib.find("nvmlDeviceGetAttributes_v2", api.attributes);
  // _v3 and _v2 share their layout; the first call without a suffix has a shorter record, so it is not used.
  if (!lib.find("nvmlDeviceGetComputeRunningProcesses_v3", api.compute_processes))
    lib.find("nvmlDeviceGetComputeRunningProcesses_v2", api.compute_processes);
  if (!lib.find("nvmlDeviceGetGraphicsRunningProcesses_v3", api.graphics_processes))
    lib.find("nvmlDeviceGetGraphicsRunningProcesses_v2", api.graphics_processes);
  lib.find("nvmlDeviceGetPersistenceMode", api.persistence_mode);
  lib.find("nvmlSystemGetCudaDriverVersion_v2", api.cuda_version);
  lib.find("nvmlDeviceGetUtilizationRates", api.utilization);
  lib.find("nvmlDeviceGetFieldValues", api.field_values);
  lib.find("nvmlDeviceGetPcieThroughput", api.pcie_throughput);
}

}  // namespace

Result<std::shared_ptr<const NvmlApi>> load_nvml(const std::string& library) {
  NUMAPIN_TRY(auto lib, Library::open(library));
  auto loaded = std::make_shared<Loaded>(std::move(lib));
  if (const char* lacking = fill_required(loaded->library, loaded->api))
    return fail(Error::Kind::kUnsupported, "use " + library + ": it has no function " + lacking,
                "the NVIDIA driver is older than 418; numapin goes on with what the kernel says");
  fill_optional(loaded->library, loaded->api);
  constexpr unsigned kNoGpusIsFine = 1;  // NVML_INIT_FLAG_NO_GPUS
  if (const int status = loaded->api.init(kNoGpusIsFine); status != kNvmlSuccess) {
    const bool absent = status == kNvmlDriverNotLoaded;
    return fail(absent ? Error::Kind::kNotFound : Error::Kind::kSystem,
                "start " + library + ": " + loaded->api.error_string(status),
                absent ? "" : "nvidia-smi should say the same; numapin goes on with what the kernel says");
  }
  loaded->initialised = true;
  return std::shared_ptr<const NvmlApi>(loaded, &loaded->api);
}

}  // namespace numapin
