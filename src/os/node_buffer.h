// Memory that is on one NUMA node, and known to be: bound, touched, and every page asked for where it is.
#pragma once

#include <cstdint>
#include <string_view>

#include "numapin/id_set.h"
#include "numapin/result.h"

namespace numapin {

class NodeBuffer {
 public:
  enum class Pages {
    kBase,  ///< the kernel's smallest; transparent huge pages forbidden
    kHuge,  ///< transparent huge pages wherever the kernel has them
  };
  /// Maps `bytes` (rounded up to 2 MiB), binds them to `node` (MPOL_BIND) and writes to each page. A node that has not
  /// as much free memory gets processes killed: the caller looks first. Errors: kDenied, kUnsupported (no NUMA calls
  /// here), kSystem; also when a page is elsewhere after all.
  static Result<NodeBuffer> make(NodeId node, std::uint64_t bytes, Pages pages);
  NodeBuffer(NodeBuffer&& o) noexcept;
  NodeBuffer& operator=(NodeBuffer&& o) noexcept;
  NodeBuffer(const NodeBuffer&) = delete;
  NodeBuffer& operator=(const NodeBuffer&) = delete;
  ~NodeBuffer();

  char* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  NodeId node() const { return node_; }
  /// Size of the pages that nearly all (95 %) of it lies in; the base size where they are mixed.
  std::uint64_t page_bytes() const { return page_bytes_; }
  /// Asks move_pages(2) for each page; an Error names how many are elsewhere.
  Result<void> verify() const;

 private:
  NodeBuffer(void* mapped, std::uint64_t mapped_bytes, char* data, std::uint64_t bytes, NodeId node)
      : mapped_(mapped), mapped_bytes_(mapped_bytes), data_(data), bytes_(bytes), node_(node) {}
  void* mapped_ = nullptr;
  std::uint64_t mapped_bytes_ = 0;
  char* data_ = nullptr;
  std::uint64_t bytes_ = 0, page_bytes_ = 0;
  NodeId node_{};
};

/// Bytes in huge pages of the mapping that holds `address`, from the text of /proc/PID/smaps (AnonHugePages).
std::uint64_t huge_bytes_at(std::string_view smaps, std::uint64_t address);

}  // namespace numapin
