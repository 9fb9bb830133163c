// Binds the process that it runs in: every thread's mask, the caller's memory policy, and, when asked, touched pages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/request.h"
#include "numapin/file_tree.h"
#include "numapin/perform.h"
#include "numapin/process.h"
#include "os/rebind.h"

namespace numapin::capi {

/// Pages that were touched before. Late binding leaves them where they are.
struct TouchedPages {
  NodeSet nodes;                                        ///< where they belong
  NodeBytes own;                                        ///< where they are now, without the page cache of files
  std::optional<std::uint64_t> moved_bytes;             ///< of a migration that was asked for
  double move_seconds = 0;
  std::vector<std::pair<std::string, double>> stayed;   ///< reason -> share of the pages that stayed
  std::uint64_t elsewhere() const;
};

struct BindSelfReport {
  Placement placement;
  bool dry_run = false;                ///< nothing was changed
  CpuSet cpus_asked;                   ///< of every thread: the main part, where worker cores were split off
  CpuSet allowed;                      ///< of all threads together, before anything was changed
  BindReport threads;
  Outcome memory;
  std::optional<TouchedPages> pages;   ///< nothing: one node, not asked, or not to be seen
  std::vector<std::string> warnings;
  std::vector<Error> losses;
};

/// Errors only with request.strict: the first refusal.
Result<BindSelfReport> bind_self(const Machine& m, Placement placement, const Request& request, const FileTree& live,
                                 RebindKernel& rebind_kernel, Kernel& kernel);

/// "GPU 0 → node 0: 9 threads on CPUs 0-11, memory preferred node 0"
std::string verdict(const BindSelfReport& report);
/// What coming late means for what was touched before, or "".
std::string late_words(const BindSelfReport& report);

/// Schema numapin/bind/1 (docs/json.md).
std::string to_json(const BindSelfReport& report);

}  // namespace numapin::capi
