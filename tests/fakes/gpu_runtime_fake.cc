// A stand-in for libcuda.so.1 and libamdhip64.so: memory is the host's, time is a clock of its own that each copy
// advances by bytes / rate, so that figures come out exact. $NUMAPIN_FAKE_GPU, read by cuInit and hipInit:
//
//   gpus=0000:18:00.0,0000:98:00.0   no GPU without it
//   peer=1                           the GPUs reach each other
//   fail=cuMemAlloc_v2:2             this function answers 2, always
//   fail_at=17:700                   the 17th call of all answers 700, once
//   hang=cuStreamSynchronize         this function never returns
//   crash=cuMemcpyAsync              this one kills the process
//   damage=1                         copies to the host change a byte
//
// fake_gpu_live() counts what was made and not given back; fake_gpu_calls() all calls.
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr double kToGpu = 50, kToHost = 40, kKernel = 30, kPeer = 200, kThroughHost = 20;  // GB/s
constexpr double kLoadNs = 1200, kPeerLoadNs = 700;

constexpr int kMost = 4096;
struct Block {
  char* at;
  std::size_t bytes;
  int device;
};
struct Stream {
  double ns = 0;
};
struct Event {
  double ns = 0;
};

Block blocks[kMost];
int live = 0, calls = 0, current = 0;
bool reached[16][16];
char config[4096];
char addresses[16][32];
int gpus = 0;
int fail_at = 0, fail_at_status = 0;
char fail_name[64], hang_name[64], crash_name[64];
int fail_status = 0;
bool peers = false, damage = false;

/// The value of KEY in "KEY=VALUE;KEY=VALUE", copied to `out`.
bool value_of(const char* key, char* out, std::size_t room) {
  const std::size_t length = std::strlen(key);
  for (const char* at = config; *at != '\0';) {
    const char* end = std::strchr(at, ';');
    if (end == nullptr) end = at + std::strlen(at);
    if (std::strncmp(at, key, length) == 0 && at[length] == '=') {
      std::snprintf(out, room, "%.*s", static_cast<int>(end - at - static_cast<long>(length) - 1), at + length + 1);
      return true;
    }
    at = *end == ';' ? end + 1 : end;
  }
  return false;
}

void read_config() {
  const char* env = std::getenv("NUMAPIN_FAKE_GPU");
  std::snprintf(config, sizeof config, "%s", env == nullptr ? "" : env);
  std::memset(reached, 0, sizeof reached);
  gpus = calls = fail_at = fail_status = 0;
  fail_name[0] = hang_name[0] = crash_name[0] = '\0';
  char text[1024];
  if (value_of("gpus", text, sizeof text))
    for (char* word = std::strtok(text, ","); word != nullptr; word = std::strtok(nullptr, ","))
      std::snprintf(addresses[gpus++], sizeof addresses[0], "%s", word);
  peers = value_of("peer", text, sizeof text);
  damage = value_of("damage", text, sizeof text);
  value_of("hang", hang_name, sizeof hang_name);
  value_of("crash", crash_name, sizeof crash_name);
  if (value_of("fail", text, sizeof text)) std::sscanf(text, "%63[^:]:%d", fail_name, &fail_status);
  if (value_of("fail_at", text, sizeof text)) std::sscanf(text, "%d:%d", &fail_at, &fail_at_status);
}

int answer(const char* function) {
  ++calls;
  if (std::strcmp(function, hang_name) == 0)
    for (;;) pause();
  if (std::strcmp(function, crash_name) == 0) std::raise(SIGKILL);
  if (fail_status != 0 && std::strcmp(function, fail_name) == 0) return fail_status;
  if (fail_at != 0 && calls == fail_at) return fail_at_status;
  return 0;
}

const Block* block_of(std::uint64_t address) {
  for (const auto& b : blocks)
    if (b.at != nullptr && address >= reinterpret_cast<std::uint64_t>(b.at) && address < reinterpret_cast<std::uint64_t>(b.at) + b.bytes)
      return &b;
  return nullptr;
}

int make_block(char** out, std::size_t bytes) {
  for (auto& b : blocks)
    if (b.at == nullptr) {
      b = {static_cast<char*>(std::malloc(bytes)), bytes, current};
      ++live;
      *out = b.at;
      return 0;
    }
  return 2;
}
int drop_block(const void* at) {
  for (auto& b : blocks)
    if (b.at == at && at != nullptr) {
      std::free(b.at);
      b = {nullptr, 0, 0};
      --live;
      return 0;
    }
  return 1;
}

double rate(const Block* to, const Block* from) {
  if (to != nullptr && from != nullptr)
    return to->device == from->device ? 1000 : reached[current][to->device == current ? from->device : to->device] ? kPeer : kThroughHost;
  return to != nullptr ? kToGpu : kToHost;
}

void move(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream, double gb_per_s) {
  std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  if (damage && block_of(to) == nullptr && bytes > 0) *reinterpret_cast<char*>(to) ^= 1;
  static_cast<Stream*>(stream)->ns += static_cast<double>(bytes) / gb_per_s;
}
void copy(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) { move(to, from, bytes, stream, rate(block_of(to), block_of(from))); }

template <class T>
int make(void** out) {
  *out = new T;
  ++live;
  return 0;
}
template <class T>
int drop(void* thing) {
  delete static_cast<T*>(thing);
  --live;
  return 0;
}

}  // namespace

#define ANSWER() if (const int status = answer(__func__); status != 0) return status

extern "C" {

int fake_gpu_live() { return live; }
int fake_gpu_calls() { return calls; }

// ---- CUDA -----------------------------------------------------------------------------------------------------------------

int cuInit(unsigned) {
  read_config();
  ANSWER();
  return gpus > 0 ? 0 : 100;
}
int cuGetErrorName(int status, const char** name) {
  *name = status == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : status == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
int cuGetErrorString(int status, const char** text) {
  *text = status == 2 ? "out of memory" : status == 100 ? "no CUDA-capable device is detected" : "unknown error";
  return 0;
}
int cuDeviceGetCount(int* count) {
  ANSWER();
  *count = gpus;
  return 0;
}
int cuDeviceGet(int* device, int ordinal) {
  ANSWER();
  *device = ordinal;
  return 0;
}
int cuDeviceGetName(char* name, int length, int) {
  ANSWER();
  std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU");
  return 0;
}
int cuDeviceGetPCIBusId(char* id, int length, int device) {
  ANSWER();
  std::snprintf(id, static_cast<std::size_t>(length), "%s", addresses[device]);
  return 0;
}
int cuDeviceGetAttribute(int* value, int, int) {
  ANSWER();
  *value = 4;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  ANSWER();
  *context = reinterpret_cast<void*>(static_cast<std::intptr_t>(device) + 1);
  ++live;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  --live;
  return answer(__func__);
}
int cuCtxSetCurrent(void* context) {
  ANSWER();
  current = static_cast<int>(reinterpret_cast<std::intptr_t>(context)) - 1;
  return 0;
}
int cuMemAlloc_v2(std::uint64_t* memory, std::size_t bytes) {
  ANSWER();
  return make_block(reinterpret_cast<char**>(memory), bytes);
}
int cuMemFree_v2(std::uint64_t memory) {
  drop_block(reinterpret_cast<void*>(memory));
  return answer(__func__);
}
int cuMemHostRegister_v2(void*, std::size_t, unsigned) {
  ANSWER();
  ++live;
  return 0;
}
int cuMemHostUnregister(void*) {
  --live;
  return answer(__func__);
}
int cuMemHostGetDevicePointer_v2(std::uint64_t* address, void* memory, unsigned) {
  ANSWER();
  *address = reinterpret_cast<std::uint64_t>(memory);
  return 0;
}
int cuStreamCreate(void** stream, unsigned) { ANSWER(); return make<Stream>(stream); }
int cuStreamDestroy_v2(void* stream) {
  drop<Stream>(stream);
  return answer(__func__);
}
int cuStreamSynchronize(void*) { return answer(__func__); }
int cuEventCreate(void** event, unsigned) { ANSWER(); return make<Event>(event); }
int cuEventDestroy_v2(void* event) {
  drop<Event>(event);
  return answer(__func__);
}
int cuEventRecord(void* event, void* stream) {
  ANSWER();
  static_cast<Event*>(event)->ns = static_cast<Stream*>(stream)->ns;
  return 0;
}
int cuEventElapsedTime(float* ms, void* from, void* to) {
  ANSWER();
  *ms = static_cast<float>((static_cast<Event*>(to)->ns - static_cast<Event*>(from)->ns) / 1e6);
  return 0;
}
int cuMemcpyAsync(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  ANSWER();
  copy(to, from, bytes, stream);
  return 0;
}
int cuDeviceCanAccessPeer(int* can, int, int) {
  ANSWER();
  *can = peers ? 1 : 0;
  return 0;
}
int cuCtxEnablePeerAccess(void* context, unsigned) {
  ANSWER();
  reached[current][static_cast<int>(reinterpret_cast<std::intptr_t>(context)) - 1] = true;
  return 0;
}
int cuModuleLoadData(void** module, const void*) {
  ANSWER();
  return make<Event>(module);
}
int cuModuleUnload(void* module) {
  drop<Event>(module);
  return answer(__func__);
}
int cuModuleGetFunction(void** function, void*, const char* name) {
  ANSWER();
  *function = const_cast<char*>(name);  // a literal of the caller
  return 0;
}
int cuLaunchKernel(void* function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void* stream, void** p, void**) {
  ANSWER();
  const char* name = static_cast<const char*>(function);
  const auto u64 = [&](int i) { return *static_cast<std::uint64_t*>(p[i]); };
  const auto u32 = [&](int i) { return *static_cast<int*>(p[i]); };
  if (std::strcmp(name, "copy16") == 0) {
    for (int i = 0; i < u32(3); ++i) move(u64(0), u64(1), u64(2) * 16, stream, kKernel);
  } else if (std::strcmp(name, "chase") == 0) {
    std::uint64_t at = u64(0);
    const double ns = block_of(at) != nullptr ? kPeerLoadNs : kLoadNs;
    for (int i = 0; i < u32(1); ++i) at = *reinterpret_cast<std::uint64_t*>(at);
    *reinterpret_cast<std::uint64_t*>(u64(3)) = at;
    static_cast<Stream*>(stream)->ns += u32(1) * ns;
  }
  return 0;
}

// ---- HIP ------------------------------------------------------------------------------------------------------------------

int hipInit(unsigned) {
  read_config();
  ANSWER();
  return gpus > 0 ? 0 : 100;
}
const char* hipGetErrorString(int status) { return status == 2 ? "out of memory" : "unknown error"; }
int hipGetDeviceCount(int* count) { ANSWER(); *count = gpus; return 0; }
int hipDeviceGetPCIBusId(char* id, int length, int device) {
  ANSWER();
  std::snprintf(id, static_cast<std::size_t>(length), "%s", addresses[device]);
  return 0;
}
int hipDeviceGetName(char* name, int length, int) {
  ANSWER();
  std::snprintf(name, static_cast<std::size_t>(length), "Fake AMD GPU");
  return 0;
}
int hipDeviceGetAttribute(int* value, int, int) { ANSWER(); *value = 4; return 0; }
int hipSetDevice(int device) { ANSWER(); current = device; return 0; }
int hipMalloc(void** memory, std::size_t bytes) { ANSWER(); return make_block(reinterpret_cast<char**>(memory), bytes); }
int hipFree(void* memory) { drop_block(memory); return answer(__func__); }
int hipHostRegister(void*, std::size_t, unsigned) { ANSWER(); ++live; return 0; }
int hipHostUnregister(void*) { --live; return answer(__func__); }
int hipHostGetDevicePointer(void** address, void* memory, unsigned) { ANSWER(); *address = memory; return 0; }
int hipStreamCreateWithFlags(void** stream, unsigned) { ANSWER(); return make<Stream>(stream); }
int hipStreamDestroy(void* stream) { drop<Stream>(stream); return answer(__func__); }
int hipStreamSynchronize(void*) { return answer(__func__); }
int hipEventCreate(void** event) { ANSWER(); return make<Event>(event); }
int hipEventDestroy(void* event) { drop<Event>(event); return answer(__func__); }
int hipEventRecord(void* event, void* stream) {
  ANSWER();
  static_cast<Event*>(event)->ns = static_cast<Stream*>(stream)->ns;
  return 0;
}
int hipEventElapsedTime(float* ms, void* from, void* to) {
  ANSWER();
  *ms = static_cast<float>((static_cast<Event*>(to)->ns - static_cast<Event*>(from)->ns) / 1e6);
  return 0;
}
int hipMemcpyAsync(void* to, const void* from, std::size_t bytes, int, void* stream) {
  ANSWER();
  copy(reinterpret_cast<std::uint64_t>(to), reinterpret_cast<std::uint64_t>(from), bytes, stream);
  return 0;
}
int hipDeviceCanAccessPeer(int* can, int, int) { ANSWER(); *can = peers ? 1 : 0; return 0; }
int hipDeviceEnablePeerAccess(int peer, unsigned) { ANSWER(); reached[current][peer] = true; return 0; }

}  // extern "C"
