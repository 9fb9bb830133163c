// Trees of files: snapshots (and with them every sysfs and procfs file), tar archives, a process under /proc.
#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "fuzz/target.h"
#include "numapin/file_tree.h"
#include "numapin/process.h"
#include "numapin/sources.h"
#include "sources/cgroup.h"
#include "sources/container.h"

namespace numapin::fuzz {
namespace {

void demand_discovers(const FileTree& tree) {
  const auto s = discover(tree, nullptr);
  if (!s) return;
  const auto broken = check(s->machine);
  demand(broken.empty(), broken.empty() ? "" : broken.front());
}

void snapshot(std::string_view bytes) {
  const auto tree = make_snapshot_tree(bytes, "input");
  if (tree) demand_discovers(**tree);
}

void tar(std::string_view bytes) {
  const auto tree = make_tar_tree(bytes, "input");
  if (!tree) return;
  demand_discovers(**tree);
  const auto names = (*tree)->list("/");
  if (!names) return;
  for (const auto& name : *names) {
    demand(name != "." && name != ".." && name.find('/') == name.npos, "the archive leads out of its root");
    (void)(*tree)->read("/" + name);
    (void)(*tree)->resolve("/" + name);
  }
}

void compressed(std::string_view bytes) {
  constexpr std::size_t kLimit = 1 << 20;
  const auto text = decompress(std::string(bytes), "input", kLimit);
  if (text) demand(text->size() <= std::max(kLimit, bytes.size()), "more than the limit was unpacked");
}

/// Files of process 7, one after the other, "\f" between them.
void process(std::string_view bytes) {
  constexpr std::array kFiles = {"stat", "status", "numa_maps", "cgroup", "cmdline", "sched", "comm"};
  MapTree tree;
  tree.add_dir("/proc/7/task/7");
  const auto parts = split(bytes, '\f');
  for (std::size_t i = 0; i < kFiles.size() && i < parts.size(); ++i)
    for (const std::string_view directory : {"/proc/7/", "/proc/7/task/7/"})
      tree.add_file(fmt::format("{}{}", directory, kFiles[i]), std::string(parts[i]));
  const auto p = read_process(tree, 7);
  if (!p || !p->memory) return;
  const auto& m = *p->memory;
  NodeBytes sum = m.huge;
  for (const auto* row : {&m.heap, &m.stack, &m.private_}) add_bytes(sum, *row);
  demand(sum == m.total(), "the rows do not add up to the total");
}

void numa_maps(std::string_view bytes) {
  const auto memory = parse_numa_maps(bytes, 4096, 2 << 20);
  NodeBytes parts = memory.anon;
  add_bytes(parts, memory.shared);
  add_bytes(parts, memory.file);
  demand(parts == memory.private_, "anonymous, shared and file pages are not the private row");
}

void proc_stat(std::string_view bytes) { (void)parse_proc_stat(bytes); }

/// What limits a process: status, cgroup and the files of a cgroup v1 or v2, "\f" between them.
void allowance(std::string_view bytes) {
  const auto parts = split(bytes, '\f');
  constexpr std::array kFiles = {"/proc/self/status", "/proc/self/cgroup", "/sys/fs/cgroup/cpuset.cpus.effective",
                                 "/sys/fs/cgroup/cpuset/cpuset.cpus", "/proc/self/mountinfo"};
  MapTree tree;
  for (std::size_t i = 0; i < kFiles.size() && i < parts.size(); ++i) tree.add_file(kFiles[i], std::string(parts[i]));
  (void)read_allowance(tree);
  (void)read_cgroup_allowance(tree, parts.size() > 1 ? std::string(parts[1]) : "/");
  for (const std::string engine : {"", "podman"}) {
    const auto container = read_own_container(tree, {{"container", engine}});
    demand(container && !describe(*container).empty() && !outer_command(*container, CpuSet{0}, NodeSet{0}).empty(), "a container without a word");
  }
  if (parts.size() < 2) return;
  if (const auto step = find_slurm_step(parts[1])) demand(!step->job.empty(), "a step of no job");
}

}  // namespace

std::vector<Target> tree_targets() {
  return {{"snapshot", "snapshots, and every sysfs and procfs file in them", snapshot},
          {"tar", "tar archives", tar},
          {"compressed", "gzip, bzip2 and xz", compressed},
          {"process", "stat, status, numa_maps, cgroup, cmdline, sched of a process", process},
          {"numa_maps", "/proc/PID/numa_maps", numa_maps},
          {"proc_stat", "/proc/PID/stat", proc_stat},
          {"allowance", "/proc/self/status and cgroup files", allowance}};
}

}  // namespace numapin::fuzz
