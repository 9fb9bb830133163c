// PyTorch's DataLoader, as its processes show it.
#include <algorithm>

#include "diagnose/result.h"

namespace numapin::doctor {
namespace {

// PyTorch names them since 2.6; kernel names hold 15 bytes, and these have 14 and 11.
constexpr std::string_view kWorkerName = "pt_data_worker", kPinName = "pt_data_pin";

bool has_thread(const ProcessInfo& p, std::string_view name) {
  return p.name == name || std::any_of(p.threads.begin(), p.threads.end(), [&](const ThreadInfo& t) { return t.name == name; });
}

/// Forked workers: named ones, or with older versions children that have the very command line of the process.
std::vector<const ProcessInfo*> workers(const Subject& s) {
  std::vector<const ProcessInfo*> out;
  for (const auto& child : s.children)
    if (has_thread(child, kWorkerName) ||
        (!child.command.empty() && child.command == s.process.command && s.process.command.find("python") != std::string::npos))
      out.push_back(&child);
  return out;
}

bool looks_at_a_process(const Setup& s) {
  return std::any_of(s.subjects.begin(), s.subjects.end(),
                     [](const Subject& subject) { return subject.kind == Subject::Kind::kProcess; });
}

CheckResult worker_count(const Setup& s) {
  const auto& m = s.system.machine;
  if (!looks_at_a_process(s)) return not_here("no process was named");
  std::vector<Finding> found;
  std::string line = "no data-loading workers";
  for (const auto& subject : s.subjects) {
    const auto list = workers(subject);
    if (list.empty()) continue;
    CpuSet cpus;
    for (const auto* worker : list)
      for (const auto& t : worker->threads) cpus |= t.allowed_cpus;
    cpus &= online_cpus(m);
    line = fmt::format("{} on {} ({} cores)", count_text(list.size(), "worker"),
                       count_text(static_cast<std::size_t>(cpus.size()), "CPU"), core_count(m, cpus));
    if (cpus.empty() || list.size() <= static_cast<std::size_t>(cpus.size())) continue;
    found.push_back({Severity::kWarning, name_of(subject), line,
                     "no more workers than CPUs: they take turns, and the thread that feeds the GPU with them",
                     fmt::format("# DataLoader(num_workers={}), or more CPUs", std::max(1, core_count(m, cpus) - 1)), ""});
  }
  return settle(std::move(found), line);
}

CheckResult pinned(const Setup& s) {
  if (!looks_at_a_process(s)) return not_here("no process was named");
  std::vector<Finding> found;
  std::string line = "no data-loading workers";
  bool older = false;
  for (const auto& subject : s.subjects) {
    const auto list = workers(subject);
    if (list.empty()) continue;
    const bool named = std::any_of(list.begin(), list.end(), [](const ProcessInfo* w) { return has_thread(*w, kWorkerName); });
    if (has_thread(subject.process, kPinName)) {
      line = "a thread copies batches into pinned memory";
    } else if (!named) {
      older = true;
    } else if (!subject.gpus.empty()) {
      found.push_back({Severity::kWarning, name_of(subject), "data-loading workers, but no thread that pins batches",
                       "DataLoader(pin_memory=True) for batches that go to a GPU",
                       "# DataLoader(pin_memory=True), and .to(device, non_blocking=True)", "# DataLoader(pin_memory=False)"});
    }
  }
  if (found.empty() && older) return unknown("this PyTorch does not name its threads (2.6 and later do)");
  return settle(std::move(found), line);
}

constexpr Check kChecks[] = {
    {"dataloader-workers", Family::kFramework, Severity::kWarning, Effect::kModerate, "no more data-loading workers than CPUs",
     "10-20 % for binding workers well (the article this project grew from; no data published)",
     "Workers are the children of a process that PyTorch named pt_data_worker, or that have its own command line. Counted are "
     "the CPUs that "
     "they may use.",
     false, worker_count},
    {"dataloader-pinned", Family::kFramework, Severity::kWarning, Effect::kModerate, "batches are copied into pinned memory",
     "5-15 % (the article this project grew from; no data published)",
     "With pin_memory=True a thread named pt_data_pin copies each batch into page-locked memory, from which the GPU fetches it "
     "by itself. The "
     "kernel does not count memory that CUDA pins, so the thread is what can be seen.",
     false, pinned},
};

}  // namespace

std::span<const Check> framework_checks() { return kChecks; }

}  // namespace numapin::doctor
