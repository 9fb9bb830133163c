// A short-lived child that takes memory of one node, so that the kernel frees page cache there, and gives it back.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "numapin/id_set.h"

namespace numapin {

/// The child is bound to the node (MPOL_BIND: the kernel must reclaim there) and has oom_score_adj 1000: where memory
/// runs out all the same, it is the one to be killed. It dies with us. It sends no SIGCHLD: a handler or an ignored
/// SIGCHLD that we inherited, and that the command will inherit, sees nothing.
class Filler {
 public:
  explicit Filler(NodeId node);
  ~Filler();
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;
  /// Takes `bytes` more; false when the child could not, or is gone.
  bool take(std::uint64_t bytes);

 private:
  pid_t child_ = -1;
  int socket_ = -1;
};

}  // namespace numapin
