// Which processes `rebind` moves, and where to.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "cli/rebind_options.h"
#include "numapin/process.h"
#include "os/rebind.h"
#include "plan/rebind.h"

namespace numapin::cli {

struct Session;

/// The nodes and CPUs for a process that uses `gpus` (empty: where the options say). `allowed_mems` is the process's.
Result<RebindTarget> rebind_target(const RebindOptions& o, const System& system, const std::vector<int>& gpus,
                                   const NodeSet& allowed_mems);

/// The processes named and those below them, each with the GPUs that it, or the process above it, uses.
class RebindCrowd {
 public:
  /// Errors: those of the GPU selection, a list that makes no sense.
  static Result<RebindCrowd> make(const RebindOptions& o, const Session& session);

  /// Reads all of them as they are now. The first time with their memory, and then their masks are what a thread's own
  /// mask is told from. Errors: the process named does not exist, is a zombie or a kernel thread, uses no GPU.
  Result<std::vector<ProcessChange>> look();
  /// The process that was read by this number has not ended since.
  bool alive(int pid) const;
  const Machine& machine() const { return system_.machine; }
  /// Of who else may use a GPU: nothing where a process was named.
  std::vector<std::string> notes() const { return options_.all_gpu ? users_.notes : std::vector<std::string>(); }

 private:
  struct Member {
    ProcessInfo process;
    std::vector<int> gpus;  // what decides the target; empty: the options, or nobody knows
    int root = 0;
  };
  using Group = std::pair<int, std::vector<int>>;

  RebindCrowd(const RebindOptions& o, const Session& session, System system, GpuUsers users);
  Result<void> add(int pid, int root, const std::vector<int>& inherited, const std::multimap<int, int>& children,
                   std::vector<Member>& members);
  Result<std::vector<Member>> gather();
  Result<void> settle(const std::vector<Member>& members);

  const RebindOptions& options_;
  const Session& session_;
  System system_;
  GpuUsers users_;
  std::set<int> seen_;
  std::map<int, ProcessGuard> guards_;
  std::map<Group, CpuSet> whole_;           // masks at the first look
  std::map<std::vector<int>, RebindTarget> targets_;
  bool first_ = true;
};

}  // namespace numapin::cli
