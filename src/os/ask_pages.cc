#include "os/ask_pages.h"

#include "os/rebind.h"

namespace numapin {

AskPages ask_pages_of(int pid) {
  return [pid](const std::vector<std::uint64_t>& addresses) -> std::optional<std::vector<int>> {
    std::vector<int> nodes;
    if (RealRebindKernel().move_pages(pid, addresses, std::nullopt, nodes) != 0) return std::nullopt;
    return nodes;
  };
}

}  // namespace numapin
