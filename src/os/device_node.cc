#include "os/device_node.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/numbers.h"
#include "plan/numactl_spec.h"

namespace numapin {
namespace {

std::optional<int> read_node(const std::string& directory, const FileTree& tree) {
  const auto text = tree.read(directory + "/numa_node");
  if (!text) return std::nullopt;
  const auto node = parse_number<int>(trim(*text));
  return node && *node >= 0 ? node : std::nullopt;
}

/// The node of the directory, or of the nearest one above it that has one: a disk's is its controller's.
std::optional<NodeId> node_at_or_above(std::string directory, const FileTree& tree) {
  while (directory.size() > std::string_view("/sys/devices").size()) {
    if (const auto node = read_node(directory, tree)) return static_cast<NodeId>(*node);
    directory.resize(directory.rfind('/'));
  }
  return std::nullopt;
}

/// A machine with memory in one node has one answer, whatever its firmware keeps silent about.
std::optional<NodeId> only_node(const FileTree& tree) {
  const auto text = tree.read("/sys/devices/system/node/has_memory");
  if (!text) return std::nullopt;
  const auto nodes = NodeSet::parse(*text);
  if (!nodes || nodes->size() != 1) return std::nullopt;
  return nodes->first();
}

Result<NodeSet> nodes_of_link(const std::string& link, std::string_view spec, const FileTree& tree, int depth = 0) {
  const auto directory = tree.resolve(link);
  if (!directory) {
    return fail(Error::Kind::kNotFound, fmt::format("find {}: no such device", spec),
                fmt::format("{} does not exist", link));
  }
  if (const auto node = node_at_or_above(*directory, tree)) return NodeSet::of(*node);
  // Device mapper and md: the disks behind. Eight levels are more than any sane stack has.
  NodeSet behind;
  if (const auto slaves = tree.list(*directory + "/slaves"); slaves && depth < 8) {
    for (const auto& slave : *slaves) {
      if (const auto nodes = nodes_of_link(*directory + "/slaves/" + slave, spec, tree, depth + 1)) behind |= *nodes;
    }
  }
  if (!behind.empty()) return behind;
  if (const auto node = only_node(tree)) return NodeSet::of(*node);
  return fail(Error::Kind::kUnsupported, fmt::format("find the node of {}: the kernel does not know it", spec),
              "give the node by number; `numapin topo` shows what is known");
}

Result<NodeSet> nodes_of_name(std::string_view spec, std::string_view class_directory, const FileTree& tree) {
  const auto name = trim(spec.substr(spec.find(':') + 1));
  if (name.empty() || name.find('/') != name.npos || name == "." || name == "..") {
    return bad_input(fmt::format("read {}: not a device's name", spec),
                     fmt::format("{} lists the names", class_directory));
  }
  return nodes_of_link(fmt::format("{}/{}", class_directory, name), spec, tree);
}

Result<NodeSet> nodes_of_pci(std::string_view spec, const FileTree& tree) {
  const auto address = parse_pci_spec(spec);
  if (!address) return bad_input(fmt::format("read {}: not a PCI address", spec), "write pci:0000:18:00.0");
  return nodes_of_link("/sys/bus/pci/devices/" + address->to_string(), spec, tree);
}

Result<NodeSet> nodes_of_file(std::string_view spec, const FileTree& tree) {
  const std::string path(spec.substr(spec.find(':') + 1));
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) {
    return fail(Error::Kind::kNotFound, fmt::format("find {}: {}", spec, std::strerror(errno)));
  }
  const dev_t device = S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? st.st_rdev : st.st_dev;
  if (!S_ISCHR(st.st_mode) && major(device) == 0) {
    return fail(Error::Kind::kUnsupported, fmt::format("find {}: its file system is on no block device", spec),
                "give the node by number");
  }
  return nodes_of_link(fmt::format("/sys/dev/{}/{}:{}", S_ISCHR(st.st_mode) ? "char" : "block", major(device),
                                   minor(device)), spec, tree);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;
using InterfaceList = std::unique_ptr<ifaddrs, decltype(&freeifaddrs)>;

/// The local address from which a packet to `to` would leave; nothing is sent by connecting a datagram socket.
bool source_address(const addrinfo& to, sockaddr_storage& from) {
  const int fd = socket(to.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage target{};
  std::memcpy(&target, to.ai_addr, to.ai_addrlen);
  if (to.ai_family == AF_INET) reinterpret_cast<sockaddr_in&>(target).sin_port = htons(9);    // discard: any port does
  if (to.ai_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(target).sin6_port = htons(9);
  socklen_t size = sizeof from;
  const bool found = connect(fd, reinterpret_cast<const sockaddr*>(&target), to.ai_addrlen) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0;
  close(fd);
  return found;
}

bool same_address(const sockaddr* a, const sockaddr_storage& b) {
  if (a == nullptr || a->sa_family != b.ss_family) return false;
  if (a->sa_family == AF_INET) {
    return std::memcmp(&reinterpret_cast<const sockaddr_in*>(a)->sin_addr,
                       &reinterpret_cast<const sockaddr_in&>(b).sin_addr, sizeof(in_addr)) == 0;
  }
  return a->sa_family == AF_INET6 &&
         std::memcmp(&reinterpret_cast<const sockaddr_in6*>(a)->sin6_addr,
                     &reinterpret_cast<const sockaddr_in6&>(b).sin6_addr, sizeof(in6_addr)) == 0;
}

Result<std::string> interface_towards(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* raw = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &raw)) {
    return fail(Error::Kind::kNotFound, fmt::format("find ip:{}: {}", host, gai_strerror(error)));
  }
  const AddressList addresses(raw, &freeaddrinfo);
  ifaddrs* raw_interfaces = nullptr;
  if (getifaddrs(&raw_interfaces) != 0) {
    return fail(Error::Kind::kSystem, fmt::format("list network interfaces: {}", std::strerror(errno)));
  }
  const InterfaceList interfaces(raw_interfaces, &freeifaddrs);
  for (const auto* to = addresses.get(); to != nullptr; to = to->ai_next) {
    sockaddr_storage from{};
    if (!source_address(*to, from)) continue;
    for (const auto* i = interfaces.get(); i != nullptr; i = i->ifa_next) {
      if (same_address(i->ifa_addr, from)) return std::string(i->ifa_name);
    }
  }
  return fail(Error::Kind::kNotFound, fmt::format("find ip:{}: no route to it", host), "ip route get shows routes");
}

}  // namespace

Result<NodeSet> device_nodes(std::string_view spec, const FileTree& tree) {
  if (spec.starts_with("pci:")) return nodes_of_pci(spec, tree);
  if (spec.starts_with("netdev:")) return nodes_of_name(spec, "/sys/class/net", tree);
  if (spec.starts_with("block:")) return nodes_of_name(spec, "/sys/class/block", tree);
  if (spec.starts_with("file:")) return nodes_of_file(spec, tree);
  if (spec.starts_with("ip:")) {
    NUMAPIN_TRY(const auto name, interface_towards(std::string(trim(spec.substr(3)))));
    return nodes_of_link("/sys/class/net/" + name, spec, tree);
  }
  return bad_input(fmt::format("read {}: not a device", spec), "known kinds: pci: netdev: block: file: ip:");
}

}  // namespace numapin
