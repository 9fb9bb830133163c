// What `numapin bench` measured, as a value: every sample, under what conditions, and look-ups for those who use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// What was done. The words of to_string() are those of the JSON.
enum class Metric {
  // Host memory: CPUs of `cpu_node` use memory of `memory_node`. GB/s of useful bytes: what the program reads plus what
  // it writes, without the lines that a cached store reads first.
  kRead,
  kWrite,
  kCopy,           ///< read one array, write another
  kTriad,          ///< read two arrays, write a third
  kLatency,        ///< ns a dependent load
  kLoadedLatency,  ///< ns a dependent load while other CPUs of the node move `load_gb_per_s`
  kCoreBounce,     ///< ns a cache line takes from `cpu` to `peer_cpu`, one way
  kMigration,      ///< ns a thread loses by moving from `cpu` to `peer_cpu`
  // GPU and host memory of `memory_node`; the thread that starts the copies runs on `cpu_node`. GB/s of copied bytes.
  kHostToDevice,
  kDeviceToHost,
  kBidirectional,   ///< both at once, summed
  kSmHostToDevice,  ///< a kernel reads host memory and writes GPU memory
  kSmDeviceToHost,
  kPageableHostToDevice,
  kPageableDeviceToHost,
  kSmallHostToDevice,  ///< ns a copy of `bytes`, from the call to its end as the CPU sees it
  kSmallDeviceToHost,
  kGpuReadsHost,       ///< ns a dependent load of a GPU thread
  // Two GPUs. GB/s of copied bytes; `peer_access` says whether the GPUs reach each other directly.
  kPeerRead,   ///< `gpu` reads memory of `peer_gpu`
  kPeerWrite,  ///< `gpu` writes memory of `peer_gpu`
  kPeerBidirectional,
  kPeerLatency,  ///< ns a dependent load of `gpu` from memory of `peer_gpu`
};
std::string_view to_string(Metric t);
/// True where a figure is nanoseconds (smaller is better), false where it is GB/s (1e9 bytes a second).
bool is_time(Metric t);

/// Who else worked at the same time.
enum class Together {
  kAlone,
  kGpusOfNode,  ///< every GPU near the same node did the same
  kAllGpus,     ///< every GPU of the machine did the same
  kAllPairs,    ///< every pair of GPUs did the same
  kRing,        ///< each GPU with the next, the last with the first
};
std::string_view to_string(Together t);

/// One figure with all that it depends on. Unknown or meaningless for the metric is nullopt.
struct Measurement {
  Metric metric = Metric::kRead;
  std::optional<NodeId> cpu_node, memory_node;
  std::optional<int> gpu, peer_gpu;     ///< Gpu::index
  std::optional<CpuId> cpu, peer_cpu;
  Together together = Together::kAlone;
  std::optional<bool> peer_access;
  std::optional<int> threads;           ///< CPU threads that worked
  std::optional<std::uint64_t> bytes;   ///< size of the buffer (of each array), or of the copy
  std::optional<std::uint64_t> page_bytes;
  std::optional<double> load_gb_per_s;  ///< kLoadedLatency
  std::string how;                      ///< "avx2, non-temporal stores", "copy engine", "kernel"; "" where there is one way
  std::vector<double> samples;          ///< GB/s or ns, in the order taken; the warm-up is not among them
  std::string disturbed;                ///< why the figure may be off: "2 of 7 samples lost the CPU"; "" when nothing was seen
  std::string skipped;                  ///< why there is no figure: "peer access is refused"; "" when there is one
  std::optional<double> ceiling;        ///< GB/s that the link allows, where it is known
  std::string ceiling_from;             ///< "PCIe Gen5 x16: 63.0 GB/s after line coding, 0.88 of it payload (...)"
  bool operator==(const Measurement&) const = default;
};

/// Of the samples; nothing when there are none.
std::optional<double> median(const std::vector<double>& samples);
/// Interquartile range over median: half of the samples lie within about this much of each other.
std::optional<double> spread(const std::vector<double>& samples);
inline std::optional<double> median(const Measurement& m) { return median(m.samples); }

struct MeasuredGpu {
  int index = 0;  ///< Gpu::index at that time
  std::optional<PciAddress> address;
  std::string model;
  std::vector<NodeId> nodes;  ///< near to it; empty: unknown
  bool operator==(const MeasuredGpu&) const = default;
};

/// The report that `bench --out FILE` writes and `--measured FILE` reads.
struct Measured {
  std::string numapin_version, taken_at, cpu_model;  ///< taken_at: UTC, "2026-11-24T11:05:00Z"
  std::vector<MeasuredGpu> gpus;
  std::vector<NodeId> cpu_nodes, memory_nodes;
  std::vector<NodeId> gpu_memory_nodes;  ///< a GPU's own memory as a node (NVLink-C2C, POWER9), not among memory_nodes
  std::vector<Measurement> measurements;
  std::vector<std::string> notes;
  bool operator==(const Measured&) const = default;
};

/// What the CPUs of a node are measured with: the machine's own memory, then GPUs'.
std::vector<NodeId> nodes_of_cpu_tests(const Measured& m);
/// Host memory with all CPUs of the node at work (kLatency: one): the figure, or nothing when it was not measured.
std::optional<double> measured_memory(const Measured& m, Metric metric, NodeId cpu_node, NodeId memory_node);
/// A GPU and the memory of a node.
std::optional<double> measured_gpu(const Measured& m, Metric metric, NodeId memory_node, int gpu,
                                   Together together = Together::kAlone);
/// Two GPUs, by direct access where that was measured, else through the host.
std::optional<double> measured_peer(const Measured& m, Metric metric, int gpu, int peer_gpu,
                                    Together together = Together::kAlone);

/// The node that the GPU is nearest to by the latency of its own loads; nothing unless it is clearly one (5 %).
std::optional<NodeId> measured_node(const Measured& m, int gpu);
/// Fills the nodes of GPUs that no source tells with the measured ones (Source::kMeasured); where a source tells another
/// node than the measured, that is a Disagreement and the source is kept.
void apply_measured(const Measured& m, System& s);

/// Schema "numapin/measured/1" (docs/bench.md), two-space indented, newline at the end.
std::string to_json(const Measured& m);
/// Reads it back. Unknown keys are skipped; a wrong value is kBadInput with its JSON pointer.
Result<Measured> measured_from_json(std::string_view text);
/// Why these figures cannot be of this machine, or "": other GPUs at the addresses, other nodes.
std::string mismatch(const Measured& measured, const Machine& machine);

}  // namespace numapin
