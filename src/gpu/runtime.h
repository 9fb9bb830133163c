// What measuring needs of a vendor's GPU runtime, by whichever library this machine has. Loaded at run time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// Which function of the library is being called, for whoever watches from another process: a driver that hangs is named.
/// Lies in memory that both share.
struct CallNote {
  std::array<std::atomic<char>, 48> text{};
  void write(const char* function);
  std::string read() const;
};

struct GpuStream {
  void* handle = nullptr;
};
struct GpuEvent {
  void* handle = nullptr;
};
/// An address that the GPU uses; host memory that was pinned has one too.
using GpuAddress = std::uint64_t;

struct RuntimeDevice {
  int ordinal = 0;  ///< the runtime's own number
  std::optional<PciAddress> address;
  std::string model;
};

/// Errors are kSystem, "call cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY: out of memory"; kUnsupported where the library lacks
/// the function. Works on the device that use() named last.
class GpuRuntime {
 public:
  virtual ~GpuRuntime() = default;
  virtual std::string name() const = 0;  ///< "CUDA", "HIP"
  /// What a reader of the figures should know of this runtime: "not tested on hardware"; "": nothing.
  virtual std::string caveat() const { return ""; }
  /// The first function that would not give something back, "call cuMemFree_v2: ..."; "" where all did. Nothing is left
  /// behind all the same: the driver takes back what a process had when it ends.
  virtual std::string not_given_back() const = 0;
  virtual Result<std::vector<RuntimeDevice>> devices() = 0;
  /// Makes the device current; its context stays until the runtime goes.
  virtual Result<void> use(int ordinal) = 0;
  virtual Result<int> multiprocessors(int ordinal) = 0;

  virtual Result<GpuAddress> allocate(std::uint64_t bytes) = 0;
  virtual void free(GpuAddress memory) = 0;
  /// Pins host memory for every GPU; the answer is its address on the current one.
  virtual Result<GpuAddress> pin(void* memory, std::uint64_t bytes) = 0;
  virtual void unpin(void* memory) = 0;
  virtual Result<GpuStream> make_stream() = 0;
  virtual void destroy(GpuStream stream) = 0;
  virtual Result<GpuEvent> make_event() = 0;
  virtual void destroy(GpuEvent event) = 0;

  virtual Result<void> record(GpuEvent event, GpuStream stream) = 0;
  virtual Result<void> synchronize(GpuStream stream) = 0;
  virtual Result<double> elapsed_ms(GpuEvent from, GpuEvent to) = 0;
  /// Between any two of host memory (pinned or not) and GPUs; returns before it is done, if the memory is pinned.
  virtual Result<void> copy(GpuAddress to, GpuAddress from, std::uint64_t bytes, GpuStream stream) = 0;
  /// May the current device reach the memory of `peer`; and let it.
  virtual Result<bool> can_reach(int ordinal, int peer) = 0;
  virtual Result<void> reach(int peer) = 0;

  /// "" where kernels run here. Else (HIP; a driver without its compiler) the rest below answers kUnsupported.
  virtual std::string why_no_kernels() const = 0;
  bool has_kernels() const { return why_no_kernels().empty(); }
  virtual Result<void> spin(GpuAddress latch, std::uint64_t timeout_ns, GpuStream stream) = 0;
  /// `bytes` in multiples of copy_step() for as many blocks.
  virtual Result<void> kernel_copy(GpuAddress to, GpuAddress from, std::uint64_t bytes, int turns, int blocks, GpuStream stream) = 0;
  virtual Result<void> kernel_chase(GpuAddress from, int loads, int block, int blocks, GpuAddress end, GpuStream stream) = 0;
};

constexpr int kCopyThreads = 512;  ///< of a block of kernel_copy
constexpr std::uint64_t copy_step(int blocks) { return std::uint64_t{16} * 8 * kCopyThreads * static_cast<std::uint64_t>(blocks); }

/// Error kNotFound: this machine has no such library, or no driver behind it; a fact and no fault.
Result<std::unique_ptr<GpuRuntime>> load_cuda(CallNote* note = nullptr, const std::string& library = "libcuda.so.1");
/// AMD's runtime, behind the same table. Copies only: kernels would need a compiler for each kind of GPU. Not tested on
/// hardware.
Result<std::unique_ptr<GpuRuntime>> load_hip(CallNote* note = nullptr, const std::string& library = "libamdhip64.so");

}  // namespace numapin
