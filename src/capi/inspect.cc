#include "capi/inspect.h"

#include <unistd.h>

#include "numapin/findings.h"

namespace numapin::capi {
namespace {

struct Walk {
  const FileTree& live;
  const Machine& m;
  const Request& request;
  std::map<int, std::vector<int>> gpus_of;  // what the driver says, or the caller
  std::multimap<int, int> children;
  std::vector<Inspection> list;

  Result<void> visit(int pid, int depth, const std::vector<int>& inherited);
};

Result<void> Walk::visit(int pid, int depth, const std::vector<int>& inherited) {
  NUMAPIN_TRY(auto process, read_process(live, pid, {.threads = true, .memory = request.with_memory}));
  Inspection i;
  if (const auto known = gpus_of.find(pid); known != gpus_of.end()) i.gpus = known->second;
  else if (!request.gpu) i.gpus = open_gpus(m, process);
  if (i.gpus.empty()) i.gpus = inherited;
  i.depth = depth;
  i.verdict = i.gpus.empty() ? judge_without_gpu(m, process) : judge_placement(m, process, i.gpus);
  i.process = std::move(process);
  const auto gpus = i.gpus;
  list.push_back(std::move(i));
  for (auto [it, end] = children.equal_range(pid); it != end; ++it)
    (void)visit(it->second, depth + 1, gpus);  // it may have ended by now
  return {};
}

}  // namespace

Result<std::vector<Inspection>> inspect(const FileTree& live, const System& system, const NvmlApi* nvml, const Request& request) {
  const int root = request.pid.value_or(getpid());
  Walk walk{live, system.machine, request, {}, {}, {}};
  if (request.gpu) {
    NUMAPIN_TRY(const auto placement, place_self(system, request));
    walk.gpus_of[root] = placement.gpus;
  } else {
    for (const auto& user : find_gpu_users(live, system.machine, nvml).users) walk.gpus_of[user.pid] = user.gpus;
  }
  if (request.children) walk.children = children_by_parent(live);
  NUMAPIN_CHECK_OK(walk.visit(root, 0, {}));
  return std::move(walk.list);
}

}  // namespace numapin::capi
