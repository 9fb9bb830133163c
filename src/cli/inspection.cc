#include "cli/inspection.h"

#include <random>

#include "os/ask_pages.h"
#include "sources/container.h"
#include "sources/memory_estimate.h"

namespace numapin::cli {
namespace {

// numa_maps takes some 0.2 s for each 10 GiB of small pages, with the process's mm lock held: beyond this it is sampled.
constexpr std::uint64_t kCountedBytes = std::uint64_t{64} << 30;

Result<ProcessInfo> read(const FileTree& tree, int pid, Counting counting) {
  ProcessDetail detail;
  if (counting == Counting::kAsNeeded) detail.count_up_to_bytes = kCountedBytes;
  if (counting == Counting::kSample) detail.count_up_to_bytes = 0;
  NUMAPIN_TRY(auto p, read_process(tree, pid, detail));
  if (p.memory || p.resident_bytes.value_or(0) <= detail.count_up_to_bytes) return p;
  p.memory = sources::estimate_memory(tree, pid, kSamplePages, std::random_device{}(), ask_pages_of(pid));
  if (p.memory) return p;
  return read_process(tree, pid);  // refused, or its pages lie too thin for a sample
}

}  // namespace

Result<void> Inspector::add(int pid, int depth, bool with_children, const std::vector<int>& inherited) {
  if (!seen.insert(pid).second) return {};
  NUMAPIN_TRY(auto process, read(tree, pid, counting));
  Inspection i;
  const auto listed = gpus_of.find(pid);
  i.gpus = listed != gpus_of.end() ? listed->second : open_gpus(machine, process);
  if (i.gpus.empty()) i.gpus = inherited;
  i.depth = depth;
  i.verdict = i.gpus.empty() ? judge_without_gpu(machine, process) : judge_placement(machine, process, i.gpus);
  i.container = read_container(tree, pid);
  i.slurm = read_slurm_step(tree, pid);
  i.process = std::move(process);
  const auto gpus = i.gpus;
  list.push_back(std::move(i));
  if (!with_children) return {};
  for (auto [it, end] = children.equal_range(pid); it != end; ++it)
    (void)add(it->second, depth + 1, true, gpus);  // it may have ended by now
  return {};
}

void Inspector::add_users(const GpuUsers& users) {
  for (const auto& user : users.users) (void)add(user.pid, 0, true, {});
}

void Inspector::tell_of_shared_cores() {
  for (auto& worker : list)
    for (const auto& main : list)
      if (main.process.pid == worker.process.parent) worker.verdict = judge_siblings(machine, main.process, worker.process, std::move(worker.verdict));
}

Inspector make_inspector(const FileTree& tree, const Machine& machine, const GpuUsers& users) {
  Inspector inspector{tree, machine, {}, children_by_parent(tree), {}, {}, Counting::kAsNeeded};
  for (const auto& user : users.users) inspector.gpus_of[user.pid] = user.gpus;
  return inspector;
}

}  // namespace numapin::cli
