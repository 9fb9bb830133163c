#include "gpu/cuda.h"

#include <cstdlib>
#include <map>
#include <set>

#include "gpu/calls.h"
#include "gpu/kernels/measure.h"
#include "gpu/library.h"
#include "gpu/runtime.h"

namespace numapin {

void CallNote::write(const char* function) {
  std::size_t i = 0;
  for (; function[i] != '\0' && i + 1 < text.size(); ++i) text[i].store(function[i], std::memory_order_relaxed);
  text[i].store('\0', std::memory_order_relaxed);
}

std::string CallNote::read() const {
  std::string out;
  for (const auto& c : text) {
    const char value = c.load(std::memory_order_relaxed);
    if (value == '\0') break;
    out += value;
  }
  return out;
}

namespace {

/// The newest name that every driver since 418 has; without any one of them there is nothing to measure.
const char* fill(const Library& lib, CudaApi& api) {
  const char* lacking = nullptr;
  const auto need = [&](const char* name, auto*& function) {
    if (!lib.find(name, function) && !lacking) lacking = name;
  };
  need("cuInit", api.init);
  need("cuGetErrorName", api.error_name);
  need("cuGetErrorString", api.error_string);
  need("cuDeviceGetCount", api.device_count);
  need("cuDeviceGet", api.device_get);
  need("cuDeviceGetName", api.device_name);
  need("cuDeviceGetPCIBusId", api.pci_bus_id);
  need("cuDeviceGetAttribute", api.attribute);
  need("cuDevicePrimaryCtxRetain", api.retain);
  if (!lib.find("cuDevicePrimaryCtxRelease_v2", api.release)) need("cuDevicePrimaryCtxRelease", api.release);
  need("cuCtxSetCurrent", api.set_current);
  need("cuMemAlloc_v2", api.alloc);
  need("cuMemFree_v2", api.free);
  need("cuMemHostRegister_v2", api.host_register);
  need("cuMemHostUnregister", api.host_unregister);
  need("cuMemHostGetDevicePointer_v2", api.host_address);
  need("cuStreamCreate", api.stream_create);
  need("cuStreamDestroy_v2", api.stream_destroy);
  need("cuStreamSynchronize", api.stream_synchronize);
  need("cuEventCreate", api.event_create);
  need("cuEventDestroy_v2", api.event_destroy);
  need("cuEventRecord", api.event_record);
  need("cuEventElapsedTime", api.event_elapsed);
  need("cuMemcpyAsync", api.copy_async);
  need("cuDeviceCanAccessPeer", api.can_access);
  need("cuCtxEnablePeerAccess", api.enable_peer);
  need("cuModuleLoadData", api.module_load);
  need("cuModuleUnload", api.module_unload);
  need("cuModuleGetFunction", api.get_function);
  need("cuLaunchKernel", api.launch);
  return lacking;
}

class Cuda final : public GpuRuntime {
 public:
  Cuda(Library library, const CudaApi& api, CallNote* note)
      : library_(std::move(library)), api_(api), call_(note, [this](int status) { return describe(status); }) {}

  ~Cuda() override {
    for (auto& [ordinal, context] : contexts_) {
      if (context.module && call_("cuCtxSetCurrent", api_.set_current, context.handle)) call_.give_back("cuModuleUnload", api_.module_unload, context.module);
      call_.give_back("cuDevicePrimaryCtxRelease", api_.release, context.device);
    }
  }

  Result<void> init() { return call_("cuInit", api_.init, 0U); }
  bool says_no_device() const { return api_.init(0) == kCudaNoDevice; }

  std::string name() const override { return "CUDA"; }
  std::string not_given_back() const override { return call_.not_given_back(); }

  Result<std::vector<RuntimeDevice>> devices() override {
    int count = 0;
    NUMAPIN_CHECK_OK(call_("cuDeviceGetCount", api_.device_count, &count));
    std::vector<RuntimeDevice> all;
    for (int i = 0; i < count; ++i) {
      int device = 0;
      char text[128] = {};
      NUMAPIN_CHECK_OK(call_("cuDeviceGet", api_.device_get, &device, i));
      RuntimeDevice d{i, std::nullopt, ""};
      NUMAPIN_CHECK_OK(call_("cuDeviceGetName", api_.device_name, text, static_cast<int>(sizeof text) - 1, device));
      d.model = text;
      NUMAPIN_CHECK_OK(call_("cuDeviceGetPCIBusId", api_.pci_bus_id, text, static_cast<int>(sizeof text) - 1, device));
      d.address = PciAddress::parse(text);
      all.push_back(std::move(d));
    }
    return all;
  }

  Result<void> use(int ordinal) override {
    if (!contexts_.contains(ordinal)) {
      Context context;
      NUMAPIN_CHECK_OK(call_("cuDeviceGet", api_.device_get, &context.device, ordinal));
      NUMAPIN_CHECK_OK(call_("cuDevicePrimaryCtxRetain", api_.retain, &context.handle, context.device));
      contexts_.emplace(ordinal, context);
      current_ = ordinal;
      NUMAPIN_CHECK_OK(call_("cuCtxSetCurrent", api_.set_current, context.handle));
      if (auto loaded = load_kernels(); !loaded && no_kernels_.empty()) no_kernels_ = loaded.error().message;
      return {};
    }
    current_ = ordinal;
    return call_("cuCtxSetCurrent", api_.set_current, contexts_.at(ordinal).handle);
  }

  Result<int> multiprocessors(int ordinal) override {
    int count = 0;
    NUMAPIN_CHECK_OK(call_("cuDeviceGetAttribute", api_.attribute, &count, static_cast<int>(kCudaMultiprocessors), ordinal));
    return count;
  }

  Result<GpuAddress> allocate(std::uint64_t bytes) override {
    GpuAddress memory = 0;
    NUMAPIN_CHECK_OK(call_("cuMemAlloc_v2", api_.alloc, &memory, bytes));
    return memory;
  }
  void free(GpuAddress memory) override { call_.give_back("cuMemFree_v2", api_.free, memory); }

  Result<GpuAddress> pin(void* memory, std::uint64_t bytes) override {
    NUMAPIN_CHECK_OK(call_("cuMemHostRegister_v2", api_.host_register, memory, bytes, kCudaHostRegisterPortable | kCudaHostRegisterDeviceMap));
    GpuAddress address = 0;
    if (auto got = call_("cuMemHostGetDevicePointer_v2", api_.host_address, &address, memory, 0U); !got) {
      unpin(memory);
      return Unexpected(got.error());
    }
    return address;
  }
  void unpin(void* memory) override { call_.give_back("cuMemHostUnregister", api_.host_unregister, memory); }

  Result<GpuStream> make_stream() override {
    GpuStream s;
    NUMAPIN_CHECK_OK(call_("cuStreamCreate", api_.stream_create, &s.handle, kCudaStreamNonBlocking));
    return s;
  }
  void destroy(GpuStream s) override { call_.give_back("cuStreamDestroy_v2", api_.stream_destroy, s.handle); }
  Result<GpuEvent> make_event() override {
    GpuEvent e;
    NUMAPIN_CHECK_OK(call_("cuEventCreate", api_.event_create, &e.handle, 0U));
    return e;
  }
  void destroy(GpuEvent e) override { call_.give_back("cuEventDestroy_v2", api_.event_destroy, e.handle); }

  Result<void> record(GpuEvent e, GpuStream s) override { return call_("cuEventRecord", api_.event_record, e.handle, s.handle); }
  Result<void> synchronize(GpuStream s) override { return call_("cuStreamSynchronize", api_.stream_synchronize, s.handle); }
  Result<double> elapsed_ms(GpuEvent from, GpuEvent to) override {
    float ms = 0;
    NUMAPIN_CHECK_OK(call_("cuEventElapsedTime", api_.event_elapsed, &ms, from.handle, to.handle));
    return static_cast<double>(ms);
  }
  Result<void> copy(GpuAddress to, GpuAddress from, std::uint64_t bytes, GpuStream s) override {
    return call_("cuMemcpyAsync", api_.copy_async, to, from, bytes, s.handle);
  }

  Result<bool> can_reach(int ordinal, int peer) override {
    int can = 0;
    NUMAPIN_CHECK_OK(call_("cuDeviceCanAccessPeer", api_.can_access, &can, ordinal, peer));
    return can != 0;
  }
  Result<void> reach(int peer) override {
    const int mine = current_;
    NUMAPIN_CHECK_OK(use(peer));  // its context must exist
    NUMAPIN_CHECK_OK(use(mine));
    if (!reached_.emplace(mine, peer).second) return {};  // a second time is an error of the driver's
    return call_("cuCtxEnablePeerAccess", api_.enable_peer, contexts_.at(peer).handle, 0U);
  }

  std::string why_no_kernels() const override { return no_kernels_; }
  Result<void> spin(GpuAddress latch, std::uint64_t timeout_ns, GpuStream s) override {
    void* parameters[] = {&latch, &timeout_ns};
    return launch("spin", 1, 1, parameters, s);
  }
  Result<void> kernel_copy(GpuAddress to, GpuAddress from, std::uint64_t bytes, int turns, int blocks, GpuStream s) override {
    std::uint64_t count = bytes / copy_step(blocks) * copy_step(blocks) / 16;
    void* parameters[] = {&to, &from, &count, &turns};
    return launch("copy16", blocks, kCopyThreads, parameters, s);
  }
  Result<void> kernel_chase(GpuAddress from, int loads, int block, int blocks, GpuAddress end, GpuStream s) override {
    void* parameters[] = {&from, &loads, &block, &end};
    return launch("chase", blocks, 1, parameters, s);
  }

 private:
  struct Context {
    int device = 0;
    void* handle = nullptr;
    void* module = nullptr;
    std::map<std::string, void*> functions;
  };

  std::string describe(int status) const {
    const char *name = nullptr, *text = nullptr;
    if (api_.error_name(status, &name) != kCudaSuccess || !name) return fmt::format("error {}", status);
    if (api_.error_string(status, &text) != kCudaSuccess || !text) return name;
    return fmt::format("{}: {}", name, text);
  }

  /// All of them before any work is queued: a load may wait for the GPU, which may be waiting for us.
  Result<void> load_kernels() {
    auto& context = contexts_.at(current_);
    NUMAPIN_CHECK_OK(call_("cuModuleLoadData", api_.module_load, &context.module, static_cast<const void*>(kMeasurePtx)));
    for (const char* name : {"spin", "copy16", "chase"})
      NUMAPIN_CHECK_OK(call_("cuModuleGetFunction", api_.get_function, &context.functions[name], context.module, name));
    return {};
  }

  Result<void> launch(const char* name, int blocks, int threads, void** parameters, GpuStream s) {
    if (!no_kernels_.empty()) return fail(Error::Kind::kUnsupported, no_kernels_);
    return call_("cuLaunchKernel", api_.launch, contexts_.at(current_).functions.at(name), static_cast<unsigned>(blocks), 1U, 1U,
                 static_cast<unsigned>(threads), 1U, 1U, 0U, s.handle, parameters, static_cast<void**>(nullptr));
  }

  Library library_;
  CudaApi api_;
  Calls call_;
  std::map<int, Context> contexts_;
  std::set<std::pair<int, int>> reached_;
  std::string no_kernels_;
  int current_ = 0;
};

}  // namespace

Result<std::unique_ptr<GpuRuntime>> load_cuda(CallNote* note, const std::string& library) {
  NUMAPIN_TRY(auto lib, Library::open(library));
  // Since CUDA 12 a kernel is loaded at its first launch; behind a spin kernel that would never come to pass.
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  CudaApi api{};
  if (const char* lacking = fill(lib, api))
    return fail(Error::Kind::kUnsupported, "use " + library + ": it has no function " + lacking, "the NVIDIA driver is older than 418");
  auto cuda = std::make_unique<Cuda>(std::move(lib), api, note);
  if (auto started = cuda->init(); !started) {
    auto error = started.error();
    if (cuda->says_no_device()) error.kind = Error::Kind::kNotFound;
    error.hint = "nvidia-smi should say the same; in a container: --gpus all";
    return Unexpected(std::move(error));
  }
  return std::unique_ptr<GpuRuntime>(std::move(cuda));
}

}  // namespace numapin
