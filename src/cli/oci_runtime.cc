// numapin oci-runtime: stands where an engine expects runc, writes the place of a container with GPUs into its
// configuration, and becomes runc. Whatever goes wrong here, the container starts, unless its policy is strict.
#include "cli/oci_runtime.h"

#include <fmt/format.h>
#include <syslog.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "base/json_text.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/text_file.h"
#include "cli/variable.h"
#include "cli/write_file.h"
#include "gpu/nvml.h"
#include "numapin/sources.h"
#include "oci/cgroup_path.h"
#include "oci/command_line.h"
#include "oci/container.h"
#include "oci/edit.h"
#include "oci/features.h"
#include "oci/settings.h"
#include "os/kernel.h"
#include "os/output_of.h"
#include "os/program.h"
#include "sources/cgroup.h"

namespace numapin::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* kOwnName = "numapin-runtime";
constexpr const char* kRecord = "numapin.json";  // in the bundle
constexpr const char* kMarker = "NUMAPIN_RUNTIME_PID";  // set before exec: the same process must not come here again

// ---- the real runtime ----------------------------------------------------------------------------------------------

bool is_this_program(const std::string& file) {
  struct stat own {}, other {};
  return stat("/proc/self/exe", &own) == 0 && stat(file.c_str(), &other) == 0 && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

Result<std::string> find_runtime(const Session& s, const oci::Settings& settings) {
  // Debian has runc in /usr/sbin, which users' and some services' PATH leaves out.
  std::string path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
  // An empty item would be the working directory, which is the bundle: not a place to take root's programs from.
  if (const auto own = variable(s, "PATH").value_or(""); !own.empty()) path = own + ":" + path;
  const std::string hint = "set NUMAPIN_RUNTIME, or 'runtime = PATH' in " + std::string(oci::kSettingsFile);
  std::vector<std::string> names = {"runc", "crun"};
  if (!settings.runtime.empty()) names = {settings.runtime};
  for (const auto& name : names) {
    auto file = find_program(name, path);
    if (file && !is_this_program(*file)) return file;
    if (file && !settings.runtime.empty()) return bad_input(fmt::format("start {}: it is numapin itself", name), hint);
  }
  return fail(Error::Kind::kNotFound, fmt::format("start {}: no such runtime", settings.runtime.empty() ? "runc or crun" : settings.runtime), hint);
}

// ---- telling what was done -----------------------------------------------------------------------------------------

std::string time_now() {
  const time_t now = time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  return {text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

void append(const std::string& file, const std::string& line) { std::ofstream(file, std::ios::app) << line; }

/// Never to standard error: that is the container's own, until the runtime has started it.
void log_line(const oci::Settings& settings, const std::string& id, const std::string& line) {
  if (settings.log == "none") return;
  const auto text = fmt::format("container {}: {}", id.empty() ? "?" : id, line);
  if (settings.log != "syslog") return append(settings.log, fmt::format("{} {}\n", time_now(), text));
  openlog(kOwnName, LOG_PID, LOG_DAEMON);
  syslog(LOG_INFO, "%s", text.c_str());
}

/// Where engines look for the reason of a failed start: the runtime's own log, and standard error.
int refuse(Session& s, const oci::RuntimeCommand& command, const std::string& line) {
  const auto message = "numapin.policy is strict: " + line;
  if (!command.log.empty())
    append(command.log, command.json_log ? fmt::format("{{\"level\":\"error\",\"msg\":{},\"time\":\"{}\"}}\n", json_string(message), time_now())
                                         : fmt::format("time=\"{}\" level=error msg={}\n", time_now(), json_string(message)));
  return s.report({Error::Kind::kDenied, message, {}});
}

// ---- placing a container -------------------------------------------------------------------------------------------

/// FIFOs and devices are nobody's bundle.
Result<std::string> read_bounded(const std::string& file) { return read_text_file(file, {.regular = true, .most_bytes = oci::kLargestConfigBytes}); }

/// A policy that this process was started with (numactl, systemd's NUMAPolicy=) is somebody's wish.
bool has_own_policy(Kernel& kernel) {
  MemoryPolicy policy;
  return kernel.get_memory_policy(policy) == 0 && policy.mode != MemoryMode::kDefault;
}

/// Not by Session::system(), which tells of a broken driver on standard error.
Result<Machine> read_machine(const Session& s, const oci::Settings& settings, bool with_driver) {
  const auto nvml = with_driver && settings.machine.empty() ? load_nvml().value_or(nullptr) : nullptr;
  NUMAPIN_TRY(auto system, settings.machine.empty() ? discover(s.live, nvml.get()) : open_machine(settings.machine));
  return std::move(system.machine);
}

oci::Host make_host(const Session& s, const oci::Settings& settings, const std::string& runtime, Kernel& kernel) {
  return {.machine = [&](bool with_driver) { return read_machine(s, settings, with_driver); },
          .allowance = [&](const std::string& path) {
            return read_cgroup_allowance(s.live, oci::parent_cgroup(path, read_allowance(s.live).cgroup));
          },
          .runtime_sets = [&, runtime](const MemoryPolicy& policy, const std::string& mode) {
            const auto features = output_of(runtime, {runtime, "features"}, 5s, oci::kLargestConfigBytes);
            // A mode that this kernel does not take would keep the container from starting.
            return features && oci::sets_memory_mode(*features, mode) && !has_own_policy(kernel) && kernel.set_memory_policy(policy) == 0;
          }};
}

/// Writes what was decided into the bundle; what went wrong, or "".
std::string write_bundle(const oci::RuntimeCommand& command, const oci::Edit& edit) {
  if (!edit.config) return "";
  const mode_t before = umask(077);  // the record is nobody's to change; config.json keeps its mode
  // The record first: without it the next start of this bundle would take our values for the user's.
  auto written = write_file(command.bundle + "/" + kRecord, oci::to_json(edit.record, edit.line), true);
  if (written) written = write_file(command.config_path(), *edit.config, true);
  umask(before);
  return written ? "" : written.error().message;
}

/// Sets the policy that the container's first process inherits; what went wrong, or "".
std::string set_memory(const MemoryPolicy& policy, Kernel& kernel) {
  if (policy.mode == MemoryMode::kNone) return "";
  if (has_own_policy(kernel)) return "memory policy left alone: one was set before";
  const std::vector<Action> step = {SetMemoryPolicy{policy}};
  const auto outcome = perform(step, kernel, false);
  if (!outcome) return outcome.error().message;
  return outcome->complete() ? "" : outcome->losses.front().message;
}

/// nullopt: the runtime is to be started.
std::optional<int> place_container(Session& s, const oci::Settings& settings, const oci::RuntimeCommand& command, const std::string& runtime) {
  const auto config = read_bounded(command.config_path());
  const auto record = read_bounded(command.bundle + "/" + kRecord);
  RealKernel kernel(RealKernel::Nodes::kStatic);
  auto edit = oci::edit_config(config.value_or(""), settings.policy, record ? oci::parse_record(*record) : oci::Record{},
                               make_host(s, settings, runtime, kernel));
  if (!config) edit.line = config.error().message;
  if (edit.refused) return refuse(s, command, edit.line);
  for (const auto& trouble : {write_bundle(command, edit), set_memory(edit.memory, kernel)}) {
    if (trouble.empty()) continue;
    if (edit.strict) return refuse(s, command, trouble);
    edit.line += "; " + trouble;
  }
  if (edit.about_gpus) log_line(settings, command.id, edit.line);
  return std::nullopt;
}

constexpr const char* kExamples =
    "  numapin oci-runtime run -b BUNDLE job              as runc, beside the GPUs that the bundle asks for\n"
    "  numapin oci-runtime --root /run/x state job        every other word of runc's goes through\n"
    "  podman --runtime /usr/bin/numapin-runtime run ...  under that name it needs no subcommand\n"
    "\n"
    "Every argument goes to the real runtime as it is: $NUMAPIN_RUNTIME, 'runtime = PATH' in /etc/numapin/runtime.conf,\n"
    "runc, or crun. Annotations of a container: numapin.policy=off, strict, node, socket, l3, exclusive, all, smt-off,\n"
    "memory=WORD (docs/containers.md).";

}  // namespace

bool is_runtime_name(std::string_view program) {
  const auto name = program.substr(program.rfind('/') + 1);
  return name == kOwnName || name == "numapin-oci-runtime";
}

int run_oci_runtime(Session& s, const std::vector<std::string>& args) {
  const auto own_pid = std::to_string(getpid());
  if (variable(s, kMarker) == own_pid)
    return s.report({Error::Kind::kBadInput, "start the real runtime: it starts numapin again", "set NUMAPIN_RUNTIME to runc or crun itself"});
  const auto named = variable(s, "NUMAPIN_RUNTIME_CONF").value_or("");
  const auto file = read_bounded(named.empty() ? oci::kSettingsFile : named);
  const auto settings = oci::read_settings(file.value_or(""), s.env);
  const auto runtime = find_runtime(s, settings);
  if (!runtime) return s.report(runtime.error());
  const auto command = oci::read_command(args);
  if (command.starts_container()) {
    try {
      if (const auto status = place_container(s, settings, command, *runtime)) return *status;
    } catch (const std::exception& e) {  // out of memory, or a mistake of ours: not the container's business
      log_line(settings, command.id, std::string("internal error: ") + e.what());
    }
  }
  setenv(kMarker, own_pid.c_str(), 1);
  std::vector<std::string> words = {*runtime};
  words.insert(words.end(), args.begin(), args.end());
  return s.report(become(*runtime, words));
}

Runner add_oci_runtime(CLI::App& app) {
  app.prefix_command();
  set_examples(app, kExamples);
  return [&app](Session& s) { return run_oci_runtime(s, command_words(app)); };
}

}  // namespace numapin::cli
