#include "os/node_buffer.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"
#include "os/rebind.h"

namespace numapin {
namespace {

constexpr std::uint64_t kHugePage = 2 << 20;  // of x86 and of Arm with 4 KiB pages; others round up just the same
constexpr int kMpolBind = 2;                  // include/uapi/linux/mempolicy.h
// Newer than Debian 12's headers show without _GNU_SOURCE; an older kernel answers EINVAL and we go on without.
constexpr int kMadvPopulateWrite = 23, kMadvCollapse = 25;

int bind(char* data, std::uint64_t bytes, NodeId node) {
  const auto nodes = NodeSet::of(node);
  const auto& words = nodes.words();
  // The kernel reads one bit less than it is told.
  const auto bits = words.size() * 64 + 1;
  return syscall(SYS_mbind, data, bytes, kMpolBind, words.data(), bits, 0) == 0 ? 0 : errno;
}

void touch(char* data, std::uint64_t bytes) {
  if (madvise(data, bytes, kMadvPopulateWrite) == 0) return;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (std::uint64_t at = 0; at < bytes; at += page) static_cast<volatile char*>(data)[at] = 1;
}

Unexpected refused(NodeId node, int error) {
  const std::string what = fmt::format("bind memory to node {}: {}", number(node), std::strerror(error));
  if (error == ENOSYS) return fail(Error::Kind::kUnsupported, what, "this kernel is built without CONFIG_NUMA");
  if (error == EPERM) return fail(Error::Kind::kDenied, what, "in docker: --cap-add SYS_NICE, or a seccomp profile that allows mbind");
  if (error == EINVAL) return fail(Error::Kind::kSystem, what, "the node has no memory, or the cpuset does not allow it");
  return fail(Error::Kind::kSystem, what);
}

std::uint64_t huge_bytes(const char* data) {
  std::ifstream file("/proc/self/smaps");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return huge_bytes_at(text, reinterpret_cast<std::uint64_t>(data));
}

}  // namespace

Result<NodeBuffer> NodeBuffer::make(NodeId node, std::uint64_t bytes, Pages pages) {
  bytes = (std::max<std::uint64_t>(bytes, 1) + kHugePage - 1) / kHugePage * kHugePage;
  const std::uint64_t mapped_bytes = bytes + kHugePage;
  void* mapped = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return fail(Error::Kind::kSystem, fmt::format("map {} bytes: {}", bytes, std::strerror(errno)));
  const auto start = (reinterpret_cast<std::uint64_t>(mapped) + kHugePage - 1) / kHugePage * kHugePage;
  NodeBuffer buffer(mapped, mapped_bytes, reinterpret_cast<char*>(start), bytes, node);
  madvise(buffer.data_, bytes, pages == Pages::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  if (const int error = bind(buffer.data_, bytes, node); error != 0) return refused(node, error);
  touch(buffer.data_, bytes);
  buffer.page_bytes_ = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (pages == Pages::kHuge) {
    if (huge_bytes(buffer.data_) < bytes) madvise(buffer.data_, bytes, kMadvCollapse);  // 6.1
    if (huge_bytes(buffer.data_) >= bytes / 100 * 95) buffer.page_bytes_ = kHugePage;
  }
  NUMAPIN_CHECK_OK(buffer.verify());
  return buffer;
}

Result<void> NodeBuffer::verify() const {
  constexpr std::uint64_t kBatch = 1 << 16;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  RealRebindKernel kernel;
  std::map<int, std::uint64_t> pages_on;  // by status: a node, or an errno below zero
  std::vector<std::uint64_t> addresses;
  std::vector<int> status;
  for (std::uint64_t at = 0; at < bytes_; at += page) {
    addresses.push_back(reinterpret_cast<std::uint64_t>(data_) + at);
    if (addresses.size() < kBatch && at + page < bytes_) continue;
    if (const int error = kernel.move_pages(0, addresses, std::nullopt, status); error != 0)
      return fail(error == EPERM ? Error::Kind::kDenied : Error::Kind::kUnsupported,
                  fmt::format("ask where pages are: move_pages: {}", std::strerror(error)));
    for (const int s : status) ++pages_on[s];
    addresses.clear();
  }
  const auto here = pages_on.find(number(node_));
  if (pages_on.size() == 1 && here != pages_on.end()) return {};
  std::string where;
  for (const auto& [at, count] : pages_on)
    where += fmt::format("{}{} {}", where.empty() ? "" : ", ", count,
                         at >= 0 ? fmt::format("on node {}", at) : fmt::format("nowhere ({})", std::strerror(-at)));
  return fail(Error::Kind::kSystem, fmt::format("put {} pages on node {}: {}", bytes_ / page, number(node_), where));
}

NodeBuffer::NodeBuffer(NodeBuffer&& o) noexcept
    : mapped_(std::exchange(o.mapped_, nullptr)), mapped_bytes_(o.mapped_bytes_), data_(o.data_), bytes_(o.bytes_),
      page_bytes_(o.page_bytes_), node_(o.node_) {}

NodeBuffer& NodeBuffer::operator=(NodeBuffer&& o) noexcept {
  std::swap(mapped_, o.mapped_);
  std::swap(mapped_bytes_, o.mapped_bytes_);
  std::swap(data_, o.data_);
  std::swap(bytes_, o.bytes_);
  std::swap(page_bytes_, o.page_bytes_);
  std::swap(node_, o.node_);
  return *this;
}

NodeBuffer::~NodeBuffer() {
  if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
}

std::uint64_t huge_bytes_at(std::string_view smaps, std::uint64_t address) {
  bool inside = false;
  for (const auto line : split_lines(smaps)) {
    const auto words = split_words(line);
    if (words.empty()) continue;
    const auto range = split(words[0], '-');
    if (range.size() == 2) {  // "7f0000000000-7f0000200000 rw-p ..."
      const auto first = parse_number<std::uint64_t>(range[0], 16), end = parse_number<std::uint64_t>(range[1], 16);
      if (first && end) inside = *first <= address && address < *end;
    } else if (inside && words[0] == "AnonHugePages:" && words.size() >= 2) {
      return parse_number<std::uint64_t>(words[1]).value_or(0) << 10;
    }
  }
  return 0;
}

}  // namespace numapin
