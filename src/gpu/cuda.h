// NVIDIA's driver as a table of functions, filled by dlopen; no toolkit at build or run time. Prototypes are our own and
// narrow; names follow NVIDIA's published cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace numapin {

/// CUresult
enum CudaStatus : int {
  kCudaSuccess = 0,
  kCudaOutOfMemory = 2,
  kCudaNoDevice = 100,
};
/// CUdevice_attribute
enum CudaAttribute : int { kCudaMultiprocessors = 16 };
constexpr unsigned kCudaHostRegisterPortable = 1, kCudaHostRegisterDeviceMap = 2;
constexpr unsigned kCudaStreamNonBlocking = 1;

struct CudaApi {
  int (*init)(unsigned flags);
  int (*error_name)(int status, const char** name);
  int (*error_string)(int status, const char** text);
  int (*device_count)(int* count);
  int (*device_get)(int* device, int ordinal);
  int (*device_name)(char* name, int length, int device);
  int (*pci_bus_id)(char* id, int length, int device);
  int (*attribute)(int* value, int attribute, int device);
  int (*retain)(void** context, int device);
  int (*release)(int device);
  int (*set_current)(void* context);
  int (*alloc)(std::uint64_t* memory, std::size_t bytes);
  int (*free)(std::uint64_t memory);
  int (*host_register)(void* memory, std::size_t bytes, unsigned flags);
  int (*host_unregister)(void* memory);
  int (*host_address)(std::uint64_t* address, void* memory, unsigned flags);
  int (*stream_create)(void** stream, unsigned flags);
  int (*stream_destroy)(void* stream);
  int (*stream_synchronize)(void* stream);
  int (*event_create)(void** event, unsigned flags);
  int (*event_destroy)(void* event);
  int (*event_record)(void* event, void* stream);
  int (*event_elapsed)(float* ms, void* from, void* to);
  int (*copy_async)(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream);
  int (*can_access)(int* can, int device, int peer);
  int (*enable_peer)(void* peer_context, unsigned flags);
  int (*module_load)(void** module, const void* image);
  int (*module_unload)(void* module);
  int (*get_function)(void** function, void* module, const char* name);
  int (*launch)(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                void* stream, void** parameters, void** extra);
};

}  // namespace numapin
