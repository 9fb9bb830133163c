#include "os/try_policy.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "os/kernel.h"

namespace numapin {

std::optional<int> try_memory_policy(NodeId node) {
  const MemoryPolicy policy{MemoryMode::kPreferredOne, NodeSet::of(node), false};
  const pid_t child = fork();
  if (child < 0) return std::nullopt;
  if (child == 0) _exit(RealKernel().set_memory_policy(policy));  // errno values fit into a status
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return std::nullopt;
  if (!WIFEXITED(status)) return std::nullopt;
  return WEXITSTATUS(status);
}

}  // namespace numapin
