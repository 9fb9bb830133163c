// AMD's runtime behind the same interface. Names and values follow AMD's published hip_runtime_api.h. Tested against a
// stand-in only: no AMD GPU was at hand.
#include <set>

#include "gpu/calls.h"
#include "gpu/library.h"
#include "gpu/runtime.h"

namespace numapin {
namespace {

constexpr int kHipNoDevice = 100, kHipMultiprocessors = 63;  // hipErrorNoDevice, hipDeviceAttributeMultiprocessorCount
constexpr unsigned kHipHostRegisterPortable = 1, kHipHostRegisterMapped = 2, kHipStreamNonBlocking = 1;
constexpr int kHipMemcpyDefault = 4;

struct HipApi {
  int (*init)(unsigned flags);
  const char* (*error_string)(int status);
  int (*device_count)(int* count);
  int (*pci_bus_id)(char* id, int length, int device);
  int (*device_name)(char* name, int length, int device);
  int (*attribute)(int* value, int attribute, int device);
  int (*set_device)(int device);
  int (*alloc)(void** memory, std::size_t bytes);
  int (*free)(void* memory);
  int (*host_register)(void* memory, std::size_t bytes, unsigned flags);
  int (*host_unregister)(void* memory);
  int (*host_address)(void** address, void* memory, unsigned flags);
  int (*stream_create)(void** stream, unsigned flags);
  int (*stream_destroy)(void* stream);
  int (*stream_synchronize)(void* stream);
  int (*event_create)(void** event);
  int (*event_destroy)(void* event);
  int (*event_record)(void* event, void* stream);
  int (*event_elapsed)(float* ms, void* from, void* to);
  int (*copy_async)(void* to, const void* from, std::size_t bytes, int kind, void* stream);
  int (*can_access)(int* can, int device, int peer);
  int (*enable_peer)(int peer, unsigned flags);
};

const char* fill(const Library& lib, HipApi& api) {
  const char* lacking = nullptr;
  const auto need = [&](const char* name, auto*& function) {
    if (!lib.find(name, function) && !lacking) lacking = name;
  };
  need("hipInit", api.init);
  need("hipGetErrorString", api.error_string);
  need("hipGetDeviceCount", api.device_count);
  need("hipDeviceGetPCIBusId", api.pci_bus_id);
  need("hipDeviceGetName", api.device_name);
  need("hipDeviceGetAttribute", api.attribute);
  need("hipSetDevice", api.set_device);
  need("hipMalloc", api.alloc);
  need("hipFree", api.free);
  need("hipHostRegister", api.host_register);
  need("hipHostUnregister", api.host_unregister);
  need("hipHostGetDevicePointer", api.host_address);
  need("hipStreamCreateWithFlags", api.stream_create);
  need("hipStreamDestroy", api.stream_destroy);
  need("hipStreamSynchronize", api.stream_synchronize);
  need("hipEventCreate", api.event_create);
  need("hipEventDestroy", api.event_destroy);
  need("hipEventRecord", api.event_record);
  need("hipEventElapsedTime", api.event_elapsed);
  need("hipMemcpyAsync", api.copy_async);
  need("hipDeviceCanAccessPeer", api.can_access);
  need("hipDeviceEnablePeerAccess", api.enable_peer);
  return lacking;
}

void* pointer(GpuAddress a) { return reinterpret_cast<void*>(a); }
GpuAddress address(void* p) { return reinterpret_cast<GpuAddress>(p); }

class Hip final : public GpuRuntime {
 public:
  Hip(Library library, const HipApi& api, CallNote* note)
      : library_(std::move(library)), api_(api), call_(note, [this](int status) { return std::string(api_.error_string(status)); }) {}

  Result<void> init() { return call_("hipInit", api_.init, 0U); }
  bool says_no_device() const { return api_.init(0) == kHipNoDevice; }
  std::string name() const override { return "HIP"; }
  std::string caveat() const override { return "AMD GPUs: measured through HIP, in which numapin was tested against a stand-in only, not on hardware"; }
  std::string not_given_back() const override { return call_.not_given_back(); }

  Result<std::vector<RuntimeDevice>> devices() override {
    int count = 0;
    NUMAPIN_CHECK_OK(call_("hipGetDeviceCount", api_.device_count, &count));
    std::vector<RuntimeDevice> all;
    for (int i = 0; i < count; ++i) {
      char text[128] = {};
      RuntimeDevice d{i, std::nullopt, ""};
      NUMAPIN_CHECK_OK(call_("hipDeviceGetName", api_.device_name, text, static_cast<int>(sizeof text) - 1, i));
      d.model = text;
      NUMAPIN_CHECK_OK(call_("hipDeviceGetPCIBusId", api_.pci_bus_id, text, static_cast<int>(sizeof text) - 1, i));
      d.address = PciAddress::parse(text);
      all.push_back(std::move(d));
    }
    return all;
  }
  Result<void> use(int ordinal) override {
    current_ = ordinal;
    return call_("hipSetDevice", api_.set_device, ordinal);
  }
  Result<int> multiprocessors(int ordinal) override {
    int count = 0;
    NUMAPIN_CHECK_OK(call_("hipDeviceGetAttribute", api_.attribute, &count, kHipMultiprocessors, ordinal));
    return count;
  }
  Result<GpuAddress> allocate(std::uint64_t bytes) override {
    void* memory = nullptr;
    NUMAPIN_CHECK_OK(call_("hipMalloc", api_.alloc, &memory, bytes));
    return address(memory);
  }
  void free(GpuAddress memory) override { call_.give_back("hipFree", api_.free, pointer(memory)); }
  Result<GpuAddress> pin(void* memory, std::uint64_t bytes) override {
    NUMAPIN_CHECK_OK(call_("hipHostRegister", api_.host_register, memory, bytes, kHipHostRegisterPortable | kHipHostRegisterMapped));
    void* there = nullptr;
    if (auto got = call_("hipHostGetDevicePointer", api_.host_address, &there, memory, 0U); !got) {
      unpin(memory);
      return Unexpected(got.error());
    }
    return address(there);
  }
  void unpin(void* memory) override { call_.give_back("hipHostUnregister", api_.host_unregister, memory); }
  Result<GpuStream> make_stream() override {
    GpuStream s;
    NUMAPIN_CHECK_OK(call_("hipStreamCreateWithFlags", api_.stream_create, &s.handle, kHipStreamNonBlocking));
    return s;
  }
  void destroy(GpuStream s) override { call_.give_back("hipStreamDestroy", api_.stream_destroy, s.handle); }
  Result<GpuEvent> make_event() override {
    GpuEvent e;
    NUMAPIN_CHECK_OK(call_("hipEventCreate", api_.event_create, &e.handle));
    return e;
  }
  void destroy(GpuEvent e) override { call_.give_back("hipEventDestroy", api_.event_destroy, e.handle); }
  Result<void> record(GpuEvent e, GpuStream s) override { return call_("hipEventRecord", api_.event_record, e.handle, s.handle); }
  Result<void> synchronize(GpuStream s) override { return call_("hipStreamSynchronize", api_.stream_synchronize, s.handle); }
  Result<double> elapsed_ms(GpuEvent from, GpuEvent to) override {
    float ms = 0;
    NUMAPIN_CHECK_OK(call_("hipEventElapsedTime", api_.event_elapsed, &ms, from.handle, to.handle));
    return static_cast<double>(ms);
  }
  Result<void> copy(GpuAddress to, GpuAddress from, std::uint64_t bytes, GpuStream s) override {
    return call_("hipMemcpyAsync", api_.copy_async, pointer(to), static_cast<const void*>(pointer(from)), bytes, kHipMemcpyDefault, s.handle);
  }
  Result<bool> can_reach(int ordinal, int peer) override {
    int can = 0;
    NUMAPIN_CHECK_OK(call_("hipDeviceCanAccessPeer", api_.can_access, &can, ordinal, peer));
    return can != 0;
  }
  Result<void> reach(int peer) override {
    if (!reached_.emplace(current_, peer).second) return {};  // a second time is an error of the runtime's
    return call_("hipDeviceEnablePeerAccess", api_.enable_peer, peer, 0U);
  }

  std::string why_no_kernels() const override { return kNoKernels; }
  Result<void> spin(GpuAddress, std::uint64_t, GpuStream) override { return no_kernels(); }
  Result<void> kernel_copy(GpuAddress, GpuAddress, std::uint64_t, int, int, GpuStream) override { return no_kernels(); }
  Result<void> kernel_chase(GpuAddress, int, int, int, GpuAddress, GpuStream) override { return no_kernels(); }

 private:
  static constexpr const char* kNoKernels = "AMD GPUs: copies only, kernels would need a compiler";
  static Result<void> no_kernels() { return fail(Error::Kind::kUnsupported, kNoKernels); }

  Library library_;
  HipApi api_;
  Calls call_;
  std::set<std::pair<int, int>> reached_;
  int current_ = 0;
};

}  // namespace

Result<std::unique_ptr<GpuRuntime>> load_hip(CallNote* note, const std::string& library) {
  NUMAPIN_TRY(auto lib, Library::open(library));
  HipApi api{};
  if (const char* lacking = fill(lib, api))
    return fail(Error::Kind::kUnsupported, "use " + library + ": it has no function " + lacking, "ROCm 5 or later has it");
  auto hip = std::make_unique<Hip>(std::move(lib), api, note);
  if (auto started = hip->init(); !started) {
    auto error = started.error();
    if (hip->says_no_device()) error.kind = Error::Kind::kNotFound;
    return Unexpected(std::move(error));
  }
  return std::unique_ptr<GpuRuntime>(std::move(hip));
}

}  // namespace numapin
