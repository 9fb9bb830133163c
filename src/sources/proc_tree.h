// Processes in an in-memory /proc. Tests only.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "numapin/file_tree.h"

namespace numapin::sample {

struct FakeThread {
  int tid = 0;
  std::uint64_t ticks = 0;
  int cpu = 0;
  std::uint64_t migrations = 0;
};

struct FakeProcess {
  int pid = 0, parent = 1;
  std::uint64_t start = 1000;
  std::vector<FakeThread> threads = {};
  std::string cpus = "0-7", numa_maps = {}, opens = {};  // `opens`: the target of descriptor 3
  std::uint64_t ended_ticks = 0, resident_kb = 100;
  bool kernel_thread = false, closed = false;  // closed: another user's
};

/// A tree is made anew for each look, as /proc is.
struct FakeProc {
  std::map<int, FakeProcess> processes;
  std::map<std::string, std::string> files;

  static std::string stat(const FakeProcess& p, int id, std::uint64_t ticks, int cpu) {
    return fmt::format("{} (python3) S {} 1 1 0 -1 {} 0 0 0 0 {} 0 0 0 20 0 {} 0 {} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 {} 0 0 0 0 0\n", id, p.parent,
                       p.kernel_thread ? 0x00208040 : 0x00400000, ticks, p.threads.size(), p.start, cpu);
  }

  void fill(MapTree& tree) const {
    for (const auto& [path, text] : files) tree.add_file(path, text);
    tree.add_dir("/proc");
    for (const auto& [pid, p] : processes) {
      const auto dir = fmt::format("/proc/{}", pid);
      std::uint64_t ticks = p.ended_ticks;
      for (const auto& t : p.threads) ticks += t.ticks;
      const auto status = fmt::format("Name:\tpython3\nUid:\t0\t0\t0\t0\nVmRSS:\t{} kB\nCpus_allowed_list:\t{}\nMems_allowed_list:\t0-1\n", p.resident_kb, p.cpus);
      tree.add_file(dir + "/stat", stat(p, pid, ticks, p.threads.empty() ? 0 : p.threads[0].cpu));
      tree.add_file(dir + "/status", status);
      tree.add_file(dir + "/cmdline", p.kernel_thread ? "" : std::string("python3\0train.py\0", 17));
      if (!p.numa_maps.empty()) tree.add_file(dir + "/numa_maps", p.numa_maps);
      if (p.closed) tree.add_failure(dir + "/fd", Error::Kind::kDenied);
      else tree.add_dir(dir + "/fd");
      if (!p.opens.empty()) {
        tree.add_file(p.opens, "");
        tree.add_link(dir + "/fd/3", p.opens);
      }
      for (const auto& t : p.threads) {
        const auto task = fmt::format("{}/task/{}", dir, t.tid);
        tree.add_file(task + "/stat", stat(p, t.tid, t.ticks, t.cpu));
        tree.add_file(task + "/status", status);
        tree.add_file(task + "/sched", fmt::format("python3 ({}, #threads: 1)\nse.nr_migrations     :    {}\n", t.tid, t.migrations));
      }
    }
  }
};

/// Shows a FakeProc as it is at the moment of each question, and counts the questions.
class ChangingTree final : public FileTree {
 public:
  explicit ChangingTree(const FakeProc& proc) : proc_(proc) {}
  Result<std::string> read(std::string_view path) const override {
    ++reads[std::string(path)];
    if (before_read) before_read(path);
    return now().read(path);
  }
  Result<std::vector<std::string>> list(std::string_view path) const override { return now().list(path); }
  Result<std::string> resolve(std::string_view path) const override { return now().resolve(path); }

  mutable std::map<std::string, int> reads;
  std::function<void(std::string_view)> before_read;  // a process may end between any two reads

 private:
  MapTree now() const {
    MapTree tree;
    proc_.fill(tree);
    return tree;
  }
  const FakeProc& proc_;
};

}  // namespace numapin::sample
