// The functions of numapin.h: JSON in and out, errors as objects, and no exception out.
#include "numapin/numapin.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>

#include "capi/bind_self.h"
#include "capi/inspect.h"
#include "capi/memory.h"
#include "capi/request.h"
#include "gpu/nvml.h"
#include "numapin/plan_export.h"
#include "numapin/sources.h"
#include "os/gpu_files.h"
#include "os/kernel.h"

using namespace numapin;

struct numapin_machine {
  System system;
  std::shared_ptr<const NvmlApi> nvml;  // null: no driver, or a recording
  pid_t loaded_in = 0;                  // NVIDIA's library is of no use to a forked child
};

struct numapin_error {
  Error error;
};

namespace {

numapin_code code_of(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::kNotFound: return NUMAPIN_NOT_FOUND;
    case Error::Kind::kNotRecorded: return NUMAPIN_NOT_RECORDED;
    case Error::Kind::kDenied: return NUMAPIN_DENIED;
    case Error::Kind::kUnsupported: return NUMAPIN_UNSUPPORTED;
    case Error::Kind::kBadInput: return NUMAPIN_BAD_INPUT;
    case Error::Kind::kSystem: break;
  }
  return NUMAPIN_SYSTEM;
}

numapin_code give_error(Error e, numapin_error** to) {
  const auto code = code_of(e.kind);
  if (to != nullptr) *to = new (std::nothrow) numapin_error{std::move(e)};
  return code;
}

/// Runs `work`, which returns Result<void>; whatever goes wrong becomes a status, and an error where one is wanted.
template <class Work>
numapin_code guarded(numapin_error** error, Work work) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    if (Result<void> done = work(); !done) return give_error(std::move(done).error(), error);
    return NUMAPIN_OK;
  } catch (const std::exception& e) {  // out of memory, or a mistake of ours
    try {
      return give_error({Error::Kind::kSystem, std::string("internal error: ") + e.what(), {}}, error);
    } catch (...) {
    }
  } catch (...) {
  }
  return NUMAPIN_SYSTEM;  // not even a message could be made
}

/// NULL where nothing follows, so that a caller may free it after an error too.
template <class T>
Result<void> prepare(T** to) {
  if (to == nullptr) return bad_input("answer: the pointer for the result is null");
  *to = nullptr;
  return {};
}

Result<void> give_text(const std::string& text, char** to) {
  *to = static_cast<char*>(std::malloc(text.size() + 1));
  if (*to == nullptr) throw std::bad_alloc();
  std::memcpy(*to, text.c_str(), text.size() + 1);
  return {};
}

const FileTree& live_tree() {
  static const auto tree = make_dir_tree("/");
  return *tree;
}

/// One thread alone may have been pinned by an OpenMP runtime: the process may use what any of its threads may.
void widen_to_all_threads(Allowance& a) {
  const auto self = read_process(live_tree(), getpid(), {.threads = true, .memory = false});
  if (!self || !a.cpus) return;
  a.cpus.value = *a.cpus | whole_mask({&*self, 1});
}

/// Null where there is no driver, or it does not answer: a note then says so. NVIDIA's library does not work in a child
/// that was forked after it was initialised; what it would say is then left to sysfs and /proc.
std::shared_ptr<const NvmlApi> load_driver(std::vector<std::string>& notes) {
  static std::atomic<pid_t> first_user{0};
  pid_t nobody = 0;
  if (!first_user.compare_exchange_strong(nobody, getpid()) && first_user != getpid()) {
    notes.emplace_back("NVIDIA's library was not asked: this process was forked from one that had loaded it");
    return nullptr;
  }
  auto nvml = load_nvml();
  if (nvml) return std::move(*nvml);
  if (nvml.error().kind != Error::Kind::kNotFound) notes.push_back(nvml.error().message + "; going on without it");
  return nullptr;
}

Result<std::unique_ptr<numapin_machine>> discover_machine(bool ask_driver = true) {
  auto machine = std::make_unique<numapin_machine>();
  std::vector<std::string> notes;
  if (ask_driver) machine->nvml = load_driver(notes);
  NUMAPIN_TRY(machine->system, discover(live_tree(), machine->nvml.get()));
  auto& all = machine->system.machine.notes;
  all.insert(all.end(), notes.begin(), notes.end());
  widen_to_all_threads(machine->system.allowance);
  machine->loaded_in = getpid();
  return machine;
}

/// The environment's variables are looked up at each call: programs change them, and a handle lives long. A recording
/// has its own.
void with_environment(capi::Request& request, const numapin_machine& machine) {
  if (!request.env && machine.loaded_in != 0) request.env = capi::environment();
}

Result<capi::Request> read_request(const char* text, capi::Call call, const numapin_machine& machine) {
  NUMAPIN_TRY(auto request, capi::parse_request(text == nullptr ? "{}" : text, call));
  with_environment(request, machine);
  return request;
}

Result<void> check_machine(const numapin_machine* machine) {
  if (machine == nullptr) return bad_input("use a machine: the pointer is null", "numapin_machine_discover() gives one");
  return {};
}

/// The caller's, or this one as it is now.
Result<const numapin_machine*> machine_or_this(const numapin_machine* given, std::unique_ptr<numapin_machine>& own,
                                               bool ask_driver = true) {
  if (given != nullptr) return given;
  NUMAPIN_TRY(own, discover_machine(ask_driver));
  return own.get();
}

/// NVML's start wakes every GPU that has no persistence, for seconds, in every task at once: Slurm's tasks do without
/// unless their GPUs are named by UUIDs, which the kernel's files may not know (MIG).
bool needs_driver(const capi::Request& request) {
  if (!request.slurm || !request.env) return true;
  for (const auto name : {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"})
    if (const auto it = request.env->find(name); it != request.env->end() && it->second.find('-') != std::string::npos) return true;
  return false;
}

Result<capi::BindSelfReport> bind(const numapin_machine* given, capi::Request request) {
  RealRebindKernel rebind_kernel;
  RealKernel kernel;
  if (request.cpulist || request.nodes) {  // what a data-loading worker does: it shall not read the machine
    System system;
    if (given != nullptr) system = given->system;
    else if (request.migrate) {
      NUMAPIN_TRY(system, discover(live_tree(), nullptr));
    }
    return capi::bind_self(system.machine, capi::named_place(request), request, live_tree(), rebind_kernel, kernel);
  }
  std::unique_ptr<numapin_machine> own;
  if (request.slurm && !request.env) request.env = capi::environment();
  NUMAPIN_TRY(const auto* machine, machine_or_this(given, own, needs_driver(request)));
  with_environment(request, *machine);
  std::vector<std::string> notes;
  if (request.slurm) {
    auto files = find_gpu_files(machine->system.machine);
    request.may_open = std::move(files.may_open);
    notes = std::move(files.notes);
  }
  NUMAPIN_TRY(auto placement, capi::place_self(machine->system, request));
  placement.because.insert(placement.because.begin(), notes.begin(), notes.end());
  return capi::bind_self(machine->system.machine, std::move(placement), request, live_tree(), rebind_kernel, kernel);
}

}  // namespace

extern "C" {

const char* numapin_version(void) { return NUMAPIN_VERSION; }
int numapin_abi_version(void) { return NUMAPIN_ABI_VERSION; }

numapin_code numapin_error_code(const numapin_error* e) { return e == nullptr ? NUMAPIN_OK : code_of(e->error.kind); }
const char* numapin_error_message(const numapin_error* e) { return e == nullptr ? "" : e->error.message.c_str(); }
const char* numapin_error_hint(const numapin_error* e) { return e == nullptr ? "" : e->error.hint.c_str(); }
void numapin_error_free(numapin_error* e) { delete e; }
void numapin_free(char* text) { std::free(text); }

numapin_code numapin_machine_discover(numapin_machine** machine, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(machine));
    NUMAPIN_TRY(auto found, discover_machine());
    *machine = found.release();
    return {};
  });
}

numapin_code numapin_machine_open(const char* path, numapin_machine** machine, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(machine));
    if (path == nullptr) return bad_input("open a machine: the path is null");
    NUMAPIN_TRY(auto system, open_machine(path));
    *machine = new numapin_machine{std::move(system), nullptr, 0};
    return {};
  });
}

numapin_code numapin_machine_json(const numapin_machine* machine, char** json, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    NUMAPIN_CHECK_OK(check_machine(machine));
    return give_text(to_json(machine->system), json);
  });
}

void numapin_machine_free(numapin_machine* machine) {
  // In a forked child the library must not be shut down: its state is the parent's.
  if (machine != nullptr && machine->nvml && machine->loaded_in != getpid()) new std::shared_ptr(machine->nvml);
  delete machine;
}

numapin_code numapin_plan(const numapin_machine* machine, const char* text, char** json, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    NUMAPIN_CHECK_OK(check_machine(machine));
    NUMAPIN_TRY(const auto request, read_request(text, capi::Call::kPlan, *machine));
    NUMAPIN_TRY(const auto placed, capi::place(machine->system, request));
    return give_text(to_json(placed.plan), json);
  });
}

numapin_code numapin_bind_self(const numapin_machine* given, const char* text, char** json, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    NUMAPIN_TRY(const auto request, capi::parse_request(text == nullptr ? "{}" : text, capi::Call::kBind));
    NUMAPIN_TRY(const auto report, bind(given, request));
    return give_text(capi::to_json(report), json);
  });
}

numapin_code numapin_inspect(const numapin_machine* given, const char* text, char** json, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    std::unique_ptr<numapin_machine> own;
    NUMAPIN_TRY(const auto* machine, machine_or_this(given, own));
    NUMAPIN_TRY(const auto request, read_request(text, capi::Call::kInspect, *machine));
    const auto* nvml = machine->loaded_in == getpid() ? machine->nvml.get() : nullptr;
    NUMAPIN_TRY(const auto list, capi::inspect(live_tree(), machine->system, nvml, request));
    return give_text(inspect_json(machine->system.machine, list, {}), json);
  });
}

numapin_code numapin_place_memory(const numapin_machine* given, void* start, size_t bytes, const char* text, char** json,
                                    numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    std::unique_ptr<numapin_machine> own;
    NUMAPIN_TRY(const auto* machine, machine_or_this(given, own));
    NUMAPIN_TRY(const auto request, read_request(text, capi::Call::kPlaceMemory, *machine));
    NUMAPIN_TRY(const auto report, capi::place_memory(machine->system, start, bytes, request));
    return give_text(capi::to_json(report), json);
  });
}

numapin_code numapin_memory_nodes(const void* start, size_t bytes, char** json, numapin_error** error) {
  return guarded(error, [&]() -> Result<void> {
    NUMAPIN_CHECK_OK(prepare(json));
    NUMAPIN_TRY(const auto found, range_nodes(start, bytes));
    return give_text(capi::to_json(found), json);
  });
}

}  // extern "C"
