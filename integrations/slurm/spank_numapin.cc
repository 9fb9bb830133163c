// SPANK plugin: puts each task that has GPUs on their NUMA node. docs/slurm.md says how to install and use it.
//
// All is done in slurm_spank_task_init: in the task's own process, with the user's rights, after Slurm's cgroups, its
// task/affinity and --mem-bind, and after the task's GPUs were chosen. The hook that runs as root before it is a race with
// task/affinity; the one after the fork knows no per-task GPU and cannot set another process's memory policy.
extern "C" {
#include <slurm/spank.h>  // its hooks are declared outside its own extern "C"
}

#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <exception>

#include "library.h"

// SPANK_PLUGIN() defines constants, which C++ would keep to this file.
extern "C" {
#define NUMAPIN_HOOK __attribute__((visibility("default")))
NUMAPIN_HOOK extern const char plugin_name[];
NUMAPIN_HOOK extern const char plugin_type[];
NUMAPIN_HOOK extern const unsigned int plugin_version;
NUMAPIN_HOOK extern const unsigned int spank_plugin_version;
SPANK_PLUGIN(numapin, 1)
}

namespace numapin_spank {
namespace {

// What slurm/slurm.h calls SLURM_BATCH_SCRIPT, SLURM_EXTERN_CONT and SLURM_INTERACTIVE_STEP.
constexpr std::uint32_t kBatch = 0xfffffffb, kExtern = 0xfffffffc, kInteractive = 0xfffffffa;
constexpr int kMostCpus = 8192;       // NR_CPUS of the largest kernels
constexpr int kMostBytes = 16 * 1024;  // of one variable: masks of 4,000 tasks are longer, and then not looked at
constexpr int kStrictStatus = 1;       // of a task that strict ends

std::optional<std::string> user_words;  // --numapin, where it was given

int take_option(int, const char* words, int remote) {
  try {
    Options checked;
    user_words = words == nullptr ? "auto" : words;
    const auto wrong = apply_words(*user_words, checked);
    if (wrong.empty() || remote != 0) return 0;  // a task is never failed for a word
    slurm_error("numapin: --numapin=%.200s: no such word: %.200s", user_words->c_str(), wrong.c_str());
    slurm_error("numapin: the words are %s", kWords);
  } catch (...) {
  }
  return -1;
}

char option_name[] = "numapin", option_argument[] = "WORDS",
     option_usage[] = "bind each task to the NUMA node of its GPUs: auto, off, node, l3, exclusive, smt-off, memory=MODE, verbose, "
                      "dry-run, strict; commas between them";
spank_option numapin_option = {option_name, option_argument, option_usage, 1, 0, take_option};

Site site_of(int count, char** arguments) {
  return read_site({arguments, arguments + count});
}

/// Lines go to slurmd's log; where the user asked by --numapin for words, to the user too.
class Log {
 public:
  bool to_user = false;
  std::string prefix;
  void usual(const std::string& line) const { write(line, to_user, slurm_verbose); }
  void wrong(const std::string& line) const { write(line, to_user || user_words, slurm_info); }

 private:
  void write(const std::string& line, bool user, void (*log)(const char*, ...)) const {
    const auto whole = prefix + line;
    (user ? slurm_spank_log : log)("%s", whole.c_str());
  }
};

/// A variable of the task's; nothing where there is none or it is too long to be true.
std::optional<std::string> variable(spank_t spank, const char* name, const Log& log) {
  static std::array<char, kMostBytes> buffer;
  const auto status = spank_getenv(spank, name, buffer.data(), static_cast<int>(buffer.size()));
  if (status == ESPANK_NOSPACE) log.wrong(std::string(name) + " is longer than 16 KiB and not looked at");
  if (status != ESPANK_SUCCESS) return std::nullopt;
  buffer.back() = '\0';
  return buffer.data();
}

/// The variables that tell of GPUs; numapin.h says which the library looks up.
constexpr const char* kVariables[] = {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
                                      "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK", "ZE_FLAT_DEVICE_HIERARCHY",
                                      "ZE_ENABLE_PCI_ID_DEVICE_ORDER", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE",
                                      "SLURM_GPUS", "SLURM_GPUS_PER_TASK", "SLURM_GPUS_PER_NODE", "SLURM_GPUS_PER_SOCKET",
                                      "SLURM_TRES_PER_TASK"};

/// "0-3,8" of the mask that Slurm left; "" where the kernel does not tell.
std::string mask_at_entry() {
  cpu_set_t* set = CPU_ALLOC(kMostCpus);
  const std::size_t bytes = CPU_ALLOC_SIZE(kMostCpus);
  std::string list;
  if (set != nullptr && sched_getaffinity(0, bytes, set) == 0) {
    for (int cpu = 0; cpu < kMostCpus; ++cpu) {
      if (!CPU_ISSET_S(cpu, bytes, set)) continue;
      int last = cpu;
      while (last + 1 < kMostCpus && CPU_ISSET_S(last + 1, bytes, set)) ++last;
      list += (list.empty() ? "" : ",") + std::to_string(cpu);
      if (last > cpu) list += "-" + std::to_string(last);
      cpu = last;
    }
  }
  CPU_FREE(set);
  return list;
}

bool is_whole_machine(const std::string& cpulist) {
  std::array<char, 1024> online{};
  std::FILE* file = std::fopen("/sys/devices/system/cpu/online", "re");
  const bool read = file != nullptr && std::fgets(online.data(), static_cast<int>(online.size()), file) != nullptr;
  if (file != nullptr) std::fclose(file);
  online[std::strcspn(online.data(), "\n")] = '\0';
  return read && cpulist == online.data();
}

Task task_of(spank_t spank, std::uint32_t step, const Log& log) {
  Task task;
  for (const char* name : kVariables)
    if (auto value = variable(spank, name, log)) task.env.emplace(name, std::move(*value));
  task.cpulist = mask_at_entry();
  task.is_script = step == kBatch || step == kInteractive;
  std::uint32_t tasks = 0;
  if (spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &tasks) != ESPANK_SUCCESS) return task;
  task.own_cpus = tasks == 1 ? !is_whole_machine(task.cpulist)
                             : has_own_masks(variable(spank, "SLURM_CPU_BIND", log).value_or(""), tasks);
  return task;
}

std::string prefix_of(spank_t spank, std::uint32_t step) {
  std::uint32_t job = 0;
  int task = 0;
  spank_get_item(spank, S_JOB_ID, &job);
  spank_get_item(spank, S_TASK_ID, &task);
  const std::string name = step == kBatch ? "batch" : step == kInteractive ? "interactive" : step == kExtern ? "extern" : std::to_string(step);
  return "numapin: " + std::to_string(job) + "." + name + " task " + std::to_string(task) + ": ";
}

/// What a launcher below, and `numapin doctor`, look up to see who bound the task.
void remember(spank_t spank, const Report& report) {
  if (!report.cpulist.empty()) spank_setenv(spank, "NUMAPIN_CPUS", report.cpulist.c_str(), 1);
}

void say(const Report& report, const Log& log) {
  for (const auto& line : report.because) log.usual(line);
  for (const auto& line : report.losses) log.wrong(line);
  log.usual(report.verdict);
}

[[noreturn]] void end_task(const Log& log, const std::string& why) {
  // An `optional` plugin's return value fails nothing; this is the task's own process, before its program.
  slurm_error("%sstrict: %s", log.prefix.c_str(), why.c_str());
  _exit(kStrictStatus);
}

void bind_task(spank_t spank, const Site& site) {
  std::uint32_t step = 0;
  spank_get_item(spank, S_JOB_STEPID, &step);
  const auto [options, ignored] = effective(site, user_words);
  Log log{options.verbose, prefix_of(spank, step)};
  for (const auto& argument : site.mistakes) log.wrong("plugstack.conf: no such argument: " + argument);
  if (!ignored.empty()) log.wrong("--numapin=" + user_words.value_or("").substr(0, 200) + ": " + ignored);
  if (!options.on) return log.usual("off");
  if (step == kExtern) return log.usual("the extern step has no task to bind");
  uid_t user = 0;
  if (spank_get_item(spank, S_JOB_UID, &user) != ESPANK_SUCCESS || geteuid() != user)
    return log.wrong("left alone: the hook does not run with the user's rights");
  const auto task = task_of(spank, step, log);
  if (task.cpulist.empty()) return log.wrong("left alone: the kernel does not tell the task's CPUs");
  log.usual("CPUs at entry: " + task.cpulist + (task.own_cpus ? ", this task's alone" : ""));
  const auto report = bind(site, options, task);
  if (!report.failure.empty()) {
    if (options.strict) end_task(log, report.failure);
    return log.wrong("left alone: " + report.failure);
  }
  say(report, log);
  if (options.strict && !options.dry_run && !report.losses.empty()) end_task(log, report.losses.front());
  if (!options.dry_run) remember(spank, report);
}

}  // namespace
}  // namespace numapin_spank

extern "C" {

NUMAPIN_HOOK int slurm_spank_init(spank_t spank, int, char**) {
  if (spank_context() != S_CTX_SLURMD && spank_context() != S_CTX_JOB_SCRIPT)
    if (spank_option_register(spank, &numapin_spank::numapin_option) != ESPANK_SUCCESS)
      slurm_error("numapin: --numapin could not be registered; the site's defaults hold");
  return 0;
}

NUMAPIN_HOOK int slurm_spank_task_init(spank_t spank, int count, char** arguments) {
  try {
    numapin_spank::bind_task(spank, numapin_spank::site_of(count, arguments));
  } catch (const std::exception& e) {
    slurm_error("numapin: left alone: internal error: %s", e.what());
  } catch (...) {
    slurm_error("numapin: left alone: internal error");
  }
  return 0;
}

}  // extern "C"
