#include "cli/doctor_setup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/session.h"
#include "gpu/nvml.h"
#include "numapin/sources.h"
#include "numapin/visible.h"
#include "os/try_policy.h"
#include "sources/container.h"
#include "sources/setup.h"

namespace numapin::cli {
namespace {

/// GPUs that a program started with this environment would see, or those named.
Result<void> add_visible_gpus(const Machine& m, const std::string& spec, Subject& s) {
  Allowance a;
  for (const auto name : visibility_variables())
    if (s.env && s.env->contains(std::string(name))) a.visible_env[std::string(name)] = s.env->at(std::string(name));
  const auto choice = spec.empty() ? visible_gpus(m, a) : choose_gpus(m, a, spec);
  if (!choice) {
    if (!spec.empty()) return Unexpected(choice.error());
    return {};  // the check of these variables says what is wrong
  }
  for (const auto& gpu : choice->gpus)
    if (std::find(s.gpus.begin(), s.gpus.end(), gpu.gpu) == s.gpus.end()) s.gpus.push_back(gpu.gpu);
  s.means_gpus = !spec.empty() || s.gpus.size() < m.gpus.size();
  return {};
}

std::optional<int> try_policy(const Machine& m, const Subject& s) {
  const auto nodes = s.process.allowed_mems & dram_nodes(m);
  return nodes.empty() ? std::nullopt : try_memory_policy(nodes.first());
}

/// What a program started from here would inherit: that of this very process, but for its memory.
Result<Subject> shell_subject(const Machine& m, const Session& session) {
  NUMAPIN_TRY(auto s, read_subject(session.live, getpid()));
  s.kind = Subject::Kind::kShell;
  s.env = session.env;
  s.container = read_own_container(session.live, session.env);
  s.in_container = s.container.has_value();
  s.peak_bytes.reset();
  s.children.clear();
  if (s.process.memory) {
    const auto policy = s.process.memory->policy;
    s.process.memory = ProcessMemory{};
    s.process.memory->policy = policy;
  }
  s.policy_error = try_policy(m, s);
  return s;
}

Result<Subject> process_subject(const Machine& m, int pid, const DoctorTargets& t, const GpuUsers& users,
                                const Session& session) {
  auto read = read_subject(session.live, pid);
  if (!read)
    return fail(read.error().kind,
                fmt::format("look at process {}: {}", pid,
                            read.error().kind == Error::Kind::kNotFound ? "there is none" : read.error().message),
                read.error().hint);
  auto s = std::move(*read);
  if (!t.gpu.empty()) {
    NUMAPIN_CHECK_OK(add_visible_gpus(m, t.gpu, s));
    return s;
  }
  for (const auto& user : users.users)
    if (user.pid == pid) s.gpus = user.gpus;
  if (s.gpus.empty()) s.gpus = open_gpus(m, s.process);
  s.means_gpus = !s.gpus.empty();
  return s;
}

void add_gpu_jobs(const GpuUsers& users, const Session& session, Setup& setup) {
  for (const auto& user : users.users) {
    if (auto p = read_process(session.live, user.pid, {.threads = true, .memory = false}))
      setup.gpu_jobs.push_back({std::move(*p), user.gpus});
  }
}

Result<void> add_subjects(const DoctorTargets& t, const GpuUsers& users, const Session& session, Setup& setup) {
  const auto& m = setup.system.machine;
  for (const int pid : t.pids) {
    NUMAPIN_TRY(auto s, process_subject(m, pid, t, users, session));
    setup.subjects.push_back(std::move(s));
  }
  if (!t.pids.empty()) return {};
  NUMAPIN_TRY(auto s, shell_subject(m, session));
  if (!t.command.empty()) {
    NUMAPIN_TRY(s, imagine(s, t.command, m, session));
  }
  if (s.gpus.empty()) NUMAPIN_CHECK_OK(add_visible_gpus(m, t.gpu, s));
  setup.subjects.push_back(std::move(s));
  return {};
}

}  // namespace

Result<Setup> read_setup(const DoctorTargets& targets, const Session& session, std::vector<std::string>& notes) {
  Setup setup;
  NUMAPIN_TRY(setup.system, session.system(""));
  const auto& m = setup.system.machine;
  const auto* nvml = session.nvml();
  const auto users = find_gpu_users(session.live, m, nvml);
  notes = users.notes;
  NUMAPIN_CHECK_OK(add_subjects(targets, users, session, setup));
  add_gpu_jobs(users, session, setup);
  setup.kernel = read_kernel_facts(session.live);
  setup.pci = read_pci_facts(session.live, m);
  setup.software = read_software_facts(session.live, m, nvml, read_own_container(session.live, session.env).has_value(), session.env);
  if (nvml == nullptr)
    if (const auto loaded = load_nvml(); !loaded && loaded.error().kind != Error::Kind::kNotFound)
      setup.software.nvidia.library_error = loaded.error().message;
  return setup;
}

}  // namespace numapin::cli
