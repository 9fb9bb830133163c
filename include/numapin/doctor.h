// doctor: a machine and what runs on it as one value, a table of checks over it, findings out. Pure values.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/container.h"
#include "numapin/machine.h"
#include "numapin/measured.h"
#include "numapin/process.h"

namespace numapin {

// ---- what is looked at ----------------------------------------------------------------------------------------------

/// `ulimit -l unlimited`
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

using Environment = std::map<std::string, std::string>;

/// Whose binding is judged.
struct Subject {
  enum class Kind {
    kShell,    ///< where doctor was started: what a program started there would inherit
    kProcess,  ///< a running process
    kCommand,  ///< a command that was not started
  } kind = Kind::kShell;
  ProcessInfo process;       ///< of a shell or a command: mask, allowed nodes and policy, without memory
  std::string command;       ///< kCommand: as typed
  std::vector<int> gpus;     ///< Gpu::index, in the order the process sees them
  bool means_gpus = false;   ///< it uses them, or they were named; false: they are merely all there are
  std::optional<Environment> env;
  std::string cgroup;        ///< path of the cgroup
  std::optional<bool> in_container;
  std::optional<ContainerName> container;  ///< which one, as far as it is known
  std::optional<std::uint64_t> peak_bytes;          ///< VmHWM
  std::optional<std::uint64_t> locked_limit_bytes;  ///< RLIMIT_MEMLOCK, soft
  /// errno of a set_mempolicy(2) tried in a child of doctor, 0 where it is allowed; unknown for other processes
  std::optional<int> policy_error;
  std::vector<ProcessInfo> children;  ///< direct ones, with their threads, without memory
  bool operator==(const Subject&) const = default;
};

/// Another process that uses a GPU.
struct GpuJob {
  ProcessInfo process;
  std::vector<int> gpus;
  bool operator==(const GpuJob&) const = default;
};

struct IdleState {
  std::string name;    ///< "C6"
  int latency_us = 0;  ///< to wake up
  bool disabled = false;
  int number = 0;      ///< "state3"
  bool operator==(const IdleState&) const = default;
};

/// CPUs that share a clock: /sys/devices/system/cpu/cpufreq/policyN
struct CpuFrequency {
  std::string driver, governor;
  std::string energy_preference;  ///< "" where the driver has none
  int policy = 0;
  bool operator==(const CpuFrequency&) const = default;
};

/// What of a node's memory is in use, in bytes.
struct NodeUse {
  std::optional<std::uint64_t> total, free, clean_cache;
  std::optional<std::uint64_t> huge, huge_free;  ///< reserved in /sys/devices/system/node/nodeN/hugepages, all sizes
  bool operator==(const NodeUse&) const = default;
};

struct KernelFacts {
  std::optional<std::string> command_line;
  std::optional<std::string> thp_enabled, thp_defrag;  ///< the word in brackets
  std::optional<int> numa_balancing, zone_reclaim_mode, sched_autogroup;
  std::vector<CpuFrequency> frequencies;
  std::optional<int> energy_perf_bias;  ///< of CPU 0: 0 performance, 6 normal, 15 powersave
  std::vector<IdleState> idle_states;   ///< of CPU 0
  std::map<NodeId, NodeUse> nodes;
  std::optional<std::string> smt_control;  ///< "on", "off", "forceoff", "notsupported", ...
  bool operator==(const KernelFacts&) const = default;
};

/// What Machine::pci does not hold of a function.
struct PciFacts {
  std::optional<int> acs_control;        ///< ACS control register; unknown: no such capability, or no right to read it
  bool config_readable = false;          ///< the whole configuration space was read
  std::string iommu_domain;              ///< "identity", "DMA", "DMA-FQ"; "" where the device is in no group
  std::optional<std::uint64_t> bar_bytes;  ///< largest memory region
  std::map<int, CpuSet> irqs;            ///< interrupt -> CPUs that it goes to
  std::map<int, CpuSet> irq_masks = {};  ///< interrupt -> CPUs that it may go to: smp_affinity_list
  bool operator==(const PciFacts&) const = default;
};

struct NvidiaFacts {
  std::optional<std::string> kernel_module;   ///< first line of /proc/driver/nvidia/version
  std::optional<std::string> library_error;   ///< why NVML does not work, where there is one
  std::optional<int> cuda_version;            ///< what the driver supports: 12040 = 12.4
  std::optional<std::string> toolkit_version; ///< of /usr/local/cuda
  std::map<int, bool> persistence;            ///< Gpu::index -> on
  struct MigMode {
    bool current = false, pending = false;
    bool operator==(const MigMode&) const = default;
  };
  std::map<int, MigMode> mig;                 ///< Gpu::index; absent: the GPU has none
  bool operator==(const NvidiaFacts&) const = default;
};

struct SoftwareFacts {
  std::vector<std::string> modules;      ///< directories of /sys/module
  std::optional<std::vector<std::string>> programs;  ///< names of all processes; unknown inside a container
  std::optional<std::string> slurm_conf, gres_conf, kubelet_config;
  std::string kubelet_command;           ///< its command line, where it runs and is seen: options stand above the file
  std::string slurm_conf_path, gres_conf_path, kubelet_config_path;
  NvidiaFacts nvidia;
  bool operator==(const SoftwareFacts&) const = default;
};

/// All that the checks look at.
struct Setup {
  System system;
  bool recorded = false;  ///< --machine: only `system` is known
  std::vector<Subject> subjects;
  std::vector<GpuJob> gpu_jobs;  ///< every process that uses a GPU, as far as this user may see
  KernelFacts kernel;
  std::map<PciAddress, PciFacts> pci;
  SoftwareFacts software;
  std::optional<Measured> measured;  ///< --measured: what `bench` wrote
  bool operator==(const Setup&) const = default;
};

// ---- what comes out -------------------------------------------------------------------------------------------------

enum class Severity {
  kNote,     ///< worth knowing; nothing to mend
  kWarning,  ///< costs something in some jobs
  kProblem,  ///< wrong: costs something in most jobs, or breaks them
};
std::string_view to_string(Severity s);

struct Finding {
  Severity severity = Severity::kWarning;
  std::string about;   ///< "GPU 3", "process 4242", "this shell"; "" the machine
  std::string is;      ///< what is
  std::string should;  ///< what should be
  /// Shell lines; a line that starts with "#" says what has to be done by hand. Never empty but for notes.
  std::string mend, undo;
  bool operator==(const Finding&) const = default;
};

struct CheckResult {
  enum class State {
    kFine,
    kFound,
    kUnknown,  ///< a fact is missing: not a finding
    kNotHere,  ///< nothing of the kind on this machine
  } state = State::kFine;
  std::string line;               ///< what was seen, or what is missing; of kFound: of the first finding
  std::vector<Finding> findings;  ///< worst first
  bool operator==(const CheckResult&) const = default;
};
std::string_view to_string(CheckResult::State s);

enum class Family { kTopology, kBinding, kKernel, kPcie, kSoftware, kFramework };
std::string_view to_string(Family f);
std::optional<Family> parse_family(std::string_view word);

/// How much a thing matters where it matters, by the largest published or measured figure; docs/checks.md is in this order.
enum class Effect { kBreaks, kLarge, kModerate, kSmall, kUnmeasured };
std::string_view to_string(Effect e);

struct Check {
  std::string_view id;           ///< "numa-balancing": stable
  Family family;
  Severity severity;             ///< of its worst finding
  Effect effect;
  std::string_view title;        ///< what holds when all is well: "the GPU is on the node of the CPUs"
  std::string_view cost;         ///< what it costs where it is wrong, with the source of the figure, or "unmeasured"
  std::string_view explanation;  ///< a few paragraphs, plain text
  bool on_recordings;            ///< a recorded machine has what it needs
  CheckResult (*run)(const Setup&);
};

/// Every check, families together.
std::span<const Check> checks();
const Check* find_check(std::string_view id);
CheckResult run_check(const Check& check, const Setup& setup);

struct Examination {
  const Check* check = nullptr;
  CheckResult result;
};
/// The checks named (ids or names of families; none: all) in the order of the table. Error kBadInput: an unknown name.
Result<std::vector<Examination>> examine(const Setup& setup, const std::vector<std::string>& names = {});

/// Finished as a shell script: each mending command under a comment that says why; with `undo`, what takes it back.
std::string mending_script(const std::vector<Examination>& list, bool undo);

}  // namespace numapin
