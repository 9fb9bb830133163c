#include "cli/inspection.h"

#include <unistd.h>

namespace numapin::cli {

Result<void> Inspector::add(int pid, int depth, bool with_children, const std::vector<int>& inherited) {
  if (!seen.insert(pid).second) return {};
  NUMAPIN_TRY(auto process, read_process(tree, pid));
  Inspection i;
  const auto listed = gpus_of.find(pid);
  i.gpus = listed != gpus_of.end() ? listed->second : open_gpus(machine, process);
  if (i.gpus.empty()) i.gpus = inherited;
  i.depth = depth;
  i.verdict = i.gpus.empty() ? judge_without_gpu(machine, process) : judge_placement(machine, process, i.gpus);
  i.process = std::move(process);
  const auto gpus = i.gpus;
  list.push_back(std::move(i));
  if (!with_children) return {};
  for (auto [it, end] = children.equal_range(pid); it != end; ++it)
    (void)add(it->second, depth + 1, true, gpus);  // it may have ended by now
  return {};
}

void Inspector::add_users(const GpuUsers& users) {
  for (const auto& user : users.users) {
    if (user.pid != getpid()) (void)add(user.pid, 0, true, {});  // asking the driver opens the GPU too
  }
}

Inspector make_inspector(const FileTree& tree, const Machine& machine, const GpuUsers& users) {
  Inspector inspector{tree, machine, {}, children_by_parent(tree), {}, {}};
  for (const auto& user : users.users) inspector.gpus_of[user.pid] = user.gpus;
  return inspector;
}

}  // namespace numapin::cli
