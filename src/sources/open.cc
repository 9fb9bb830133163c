// Opens a recorded machine, whatever it is recorded in: told by content, not by name.
#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/numbers.h"
#include "numapin/json.h"
#include "numapin/sources.h"
#include "sources/builtin.h"
#include "sources/sniff.h"

namespace numapin {
namespace {

namespace fs = std::filesystem;

// The largest recordings known, of thousands of CPUs, unpack to some 10 MiB.
constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxArchiveBytes = std::size_t{512} << 20;

constexpr std::string_view kForms =
    "known forms: a snapshot, `topo --json`, a directory or tar of /sys and /proc, hwloc or NCCL XML, the text of nvidia-smi topo -m, "
    "numactl --hardware, lscpu, rocm-smi --showtopo or lspci -tv, and the names that `numapin topo --machine list` prints";

// ---- trees ---------------------------------------------------------------------------------------------------------

/// A tree of AMD's KFD alone has no CPUs: "topology/nodes" (as people pack /sys/class/kfd/kfd/topology), or its place in /sys.
std::optional<std::string> kfd_root(const FileTree& tree) {
  for (const std::string root : {"/sys/class/kfd/kfd/topology", "/sys/devices/virtual/kfd/kfd/topology", "/topology", ""})
    if (const auto nodes = tree.list(root + "/nodes"); nodes && !nodes->empty()) return root;
  return std::nullopt;
}

Result<System> open_tree(const FileTree& tree, const std::string& name) {
  auto system = discover(tree, nullptr);
  if (system) return system;
  if (const auto root = kfd_root(tree)) {
    System s;
    NUMAPIN_TRY(s.machine, from_kfd(tree, *root));
    complete(s.machine);
    return s;
  }
  return bad_input(fmt::format("open {}: {}", name, system.error().message), std::string(kForms));
}

bool is_root(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_directory(dir / "sys", ignored) || fs::is_directory(dir / "proc", ignored) ||
         fs::is_directory(dir / "nodes", ignored) || fs::is_directory(dir / "topology", ignored);
}

/// The directory itself, or the only one in it: an unpacked tar of "NAME/sys/...".
fs::path find_root(const fs::path& dir) {
  fs::path at = dir;
  for (int depth = 0; depth < 3 && !is_root(at); ++depth) {
    fs::path only;
    int directories = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(at, ignored))
      if (entry.is_directory(ignored) && ++directories == 1) only = entry.path();
    if (directories != 1) return dir;
    at = only;
  }
  return is_root(at) ? at : dir;
}

// ---- files ---------------------------------------------------------------------------------------------------------

Result<std::string> read_file(const fs::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const auto kind = errno == EACCES ? Error::Kind::kDenied : Error::Kind::kSystem;
    return fail(kind, fmt::format("open {}: {}", path.string(), std::generic_category().message(errno)));
  }
  std::string bytes;
  char buffer[65536];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    bytes.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (bytes.size() > kMaxArchiveBytes)
      return bad_input(fmt::format("open {}: larger than {} MiB, no recorded machine is", path.string(), kMaxArchiveBytes >> 20));
  }
  if (in.bad()) return fail(Error::Kind::kSystem, fmt::format("read {}: input/output error", path.string()));
  return bytes;
}

Result<System> open_text(std::string_view text, const std::string& name) {
  if (text.starts_with("numapin-snapshot ")) {
    NUMAPIN_TRY(const auto tree, make_snapshot_tree(text, name));
    return discover(*tree, nullptr);
  }
  if (trim(text).starts_with('{')) {
    auto system = from_json(text);
    if (!system) return fail(system.error().kind, fmt::format("open {}: {}", name, system.error().message), system.error().hint);
    return system;
  }
  if (trim(text).empty()) return bad_input(fmt::format("open {}: empty", name), std::string(kForms));
  for (const auto& format : text_formats()) {
    if (!format.looks_like(text)) continue;
    auto machine = format.read(text);
    if (!machine) return bad_input(fmt::format("open {} as {}: {}", name, format.name, machine.error().message), machine.error().hint);
    System s;
    s.machine = std::move(*machine);
    complete(s.machine);
    return s;
  }
  return bad_input(fmt::format("open {}: not a recorded machine in any known form", name), std::string(kForms));
}

}  // namespace

Result<System> open_machine_text(std::string bytes, const std::string& name) {
  NUMAPIN_TRY(auto plain, decompress(std::move(bytes), name, kMaxArchiveBytes));
  if (is_tar(plain)) {
    NUMAPIN_TRY(const auto tree, make_tar_tree(plain, name));
    return open_tree(*tree, name);
  }
  if (plain.size() > kMaxTextBytes)
    return bad_input(fmt::format("open {}: a text of {} MiB, no recorded machine is so large", name, plain.size() >> 20));
  return open_text(plain, name);
}

Result<System> open_machine(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  if (fs::is_directory(status)) return open_tree(*make_dir_tree(find_root(path)), path.string());
  if (fs::exists(status)) {
    NUMAPIN_TRY(auto bytes, read_file(path));
    return open_machine_text(std::move(bytes), path.string());
  }
  if (auto builtin = find_builtin_machine(path.string())) return std::move(*builtin);
  return fail(Error::Kind::kNotFound,
              fmt::format("open {}: no such file, and no built-in machine has this name", path.string()),
              "`numapin topo --machine list` prints the built-in machines");
}

}  // namespace numapin
