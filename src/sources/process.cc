// /proc/PID as a value. Any file may vanish or be refused between two reads: the process is then gone, or the fact denied.
#include "numapin/process.h"

#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "sources/gpu_lists.h"
#include "sources/memory_estimate.h"
#include "sources/read.h"

namespace numapin {
namespace {

using sources::field;

constexpr std::uint64_t kKib = 1024;
// Reads go through a FileTree, which may be of another machine: the page size is not asked of this kernel. Every
// kernel since 3.0 prints kernelpagesize_kB, so these are fallbacks only.
constexpr std::uint64_t kBasePage = 4096, kHugePage = 2048 * kKib;

std::string path_of(int pid, std::string_view file) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(file);
}

std::optional<std::uint64_t> number_field(std::string_view status, std::string_view name) {
  const auto text = field(status, name);
  if (!text) return std::nullopt;
  return parse_number<std::uint64_t>(std::string_view(*text).substr(0, text->find_first_of(" \t")));
}

}  // namespace

bool sources::is_shared_memory(std::string_view file) {
  return file.starts_with("/dev/shm/") || file.starts_with("/SYSV") || file.starts_with("/memfd:") ||
         file.starts_with("/dev/zero") || file.starts_with("/run/shm/");
}

std::optional<std::uint64_t> sources::status_bytes(std::string_view status, std::string_view name) {
  const auto kib = number_field(status, name);
  return kib ? std::optional(*kib * kKib) : std::nullopt;
}

void sources::fill_unmovable(std::string_view status, ProcessMemory& m) {
  m.locked_bytes = status_bytes(status, "VmLck").value_or(0);
  m.pinned_bytes = status_bytes(status, "VmPin").value_or(0);
}

namespace {

/// Device files that stand for memory the kernel cannot move.
std::optional<int> minor_behind(std::string_view target, std::string_view prefix) {
  if (!target.starts_with(prefix)) return std::nullopt;
  return parse_number<int>(target.substr(prefix.size()));
}

}  // namespace

void sources::read_open_devices(const FileTree& tree, ProcessInfo& p) {
  const auto dir = path_of(p.pid, "fd");
  const auto entries = tree.list(dir);
  bool denied = !entries && entries.error().kind == Error::Kind::kDenied;
  std::set<int> nvidia, render;
  for (const auto& entry : entries ? *entries : std::vector<std::string>{}) {
    const auto target = tree.resolve(dir + "/" + entry);
    if (!target) {
      denied |= target.error().kind == Error::Kind::kDenied;  // CAP_DAC_READ_SEARCH alone: names, not what they are
      continue;
    }
    if (auto n = minor_behind(*target, "/dev/nvidia")) nvidia.insert(*n);
    if (auto n = minor_behind(*target, "/dev/dri/renderD")) render.insert(*n);
    if (*target == "/dev/kfd") p.opens_kfd = true;
  }
  if (denied) p.denied.emplace_back("fd: Permission denied");
  p.gpu_minors.assign(nvidia.begin(), nvidia.end());
  p.render_minors.assign(render.begin(), render.end());
}

namespace {

void fill_from_status(std::string_view status, ThreadInfo& t) {
  if (auto list = field(status, "Cpus_allowed_list"))
    if (auto cpus = CpuSet::parse(*list)) t.allowed_cpus = *cpus;
  t.voluntary_switches = number_field(status, "voluntary_ctxt_switches");
  t.involuntary_switches = number_field(status, "nonvoluntary_ctxt_switches");
}

}  // namespace

std::optional<std::uint64_t> sources::parse_migrations(std::string_view sched) {
  for (auto line : split_lines(sched))
    if (line.starts_with("se.nr_migrations"))
      if (const auto colon = line.find(':'); colon != line.npos)
        return parse_number<std::uint64_t>(trim(line.substr(colon + 1)));
  return std::nullopt;
}

namespace {

std::optional<ThreadInfo> read_thread(const FileTree& tree, const std::string& dir, int tid) {
  const auto stat_text = tree.read(dir + "/stat");
  const auto status = tree.read(dir + "/status");
  if (!stat_text || !status) return std::nullopt;  // it ended
  const auto stat = parse_proc_stat(*stat_text);
  if (!stat) return std::nullopt;
  ThreadInfo t;
  t.tid = tid;
  t.name = stat->name;
  t.state = stat->state;
  t.last_cpu = stat->last_cpu;
  t.cpu_ticks = stat->ticks();
  fill_from_status(*status, t);
  if (const auto sched = tree.read(dir + "/sched")) t.migrations = sources::parse_migrations(*sched);
  return t;
}

void read_threads(const FileTree& tree, ProcessInfo& p) {
  const auto dir = path_of(p.pid, "task");
  const auto entries = tree.list(dir);
  if (!entries) return;
  for (const auto& entry : *entries)
    if (const auto tid = parse_number<int>(entry))
      if (auto t = read_thread(tree, dir + "/" + entry, *tid)) p.threads.push_back(std::move(*t));
  std::sort(p.threads.begin(), p.threads.end(), [](const auto& a, const auto& b) { return a.tid < b.tid; });
}

void read_memory(const FileTree& tree, std::string_view status, ProcessInfo& p) {
  const auto maps = tree.read(path_of(p.pid, "numa_maps"));
  if (!maps) {
    if (maps.error().kind == Error::Kind::kDenied) p.denied.push_back("numa_maps: Permission denied");
    else if (maps.error().kind != Error::Kind::kNotFound) p.denied.push_back("numa_maps: " + maps.error().message);
    return;  // a kernel without CONFIG_NUMA has none
  }
  p.memory = parse_numa_maps(*maps, kBasePage, kHugePage);
  sources::fill_unmovable(status, *p.memory);
  if (const auto ranges = tree.read(path_of(p.pid, "maps"))) p.memory->device_bytes = sources::device_mapped_bytes(*ranges);
}

std::string command_of(std::string text) {
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

/// The numastat row that a mapping belongs to, and our finer part of it.
void add_vma(const Vma& v, ProcessMemory& m) {
  switch (v.use) {
    case Vma::Use::kHuge: return add_bytes(m.huge, v.bytes);
    case Vma::Use::kHeap: return add_bytes(m.heap, v.bytes);
    case Vma::Use::kStack: return add_bytes(m.stack, v.bytes);
    case Vma::Use::kAnon: add_bytes(m.anon, v.bytes); break;
    case Vma::Use::kShared: add_bytes(m.shared, v.bytes); break;
    case Vma::Use::kFile: add_bytes(m.file, v.bytes); break;
  }
  add_bytes(m.private_, v.bytes);
}

}  // namespace

// "7f10c000 bind:0 file=/dev/shm/x huge anon=3 dirty=3 mapmax=2 N0=1 N1=2 kernelpagesize_kB=4"
// (Documentation/filesystems/proc.rst; numastat's rows go by the words huge, heap and stack)
std::optional<Vma> parse_numa_maps_line(std::string_view line, std::uint64_t page_bytes, std::uint64_t huge_page_bytes) {
  const auto words = split_words(line);
  if (words.size() < 2) return std::nullopt;
  const auto start = parse_number<std::uint64_t>(words[0], 16);
  if (!start) return std::nullopt;
  Vma v;
  v.start = *start;
  v.policy = words[1];
  // Two policies have names of two words: "prefer (many)=static:0-1", "weighted interleave:0-1".
  if (words.size() > 2 && ((words[1] == "prefer" && words[2].starts_with("(many)")) || (words[1] == "weighted" && words[2].starts_with("interleave"))))
    v.policy += " " + std::string(words[2]);
  std::map<int, std::uint64_t> pages;
  std::uint64_t anon_pages = 0, sum = 0;
  std::optional<std::uint64_t> page_kib;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto w = words[i];
    const auto value = [&](std::string_view key) { return parse_number<std::uint64_t>(w.substr(key.size())); };
    if (w.starts_with("file=")) v.file = w.substr(5);
    else if (w.starts_with("heap")) v.use = Vma::Use::kHeap;
    else if (w.starts_with("stack")) v.use = Vma::Use::kStack;
    else if (w.starts_with("huge")) v.use = Vma::Use::kHuge;
    else if (w.starts_with("anon=")) anon_pages = value("anon=").value_or(0);
    else if (w.starts_with("kernelpagesize_kB=")) page_kib = value("kernelpagesize_kB=");
    else if (w.starts_with("N") && w.find('=') != w.npos) {
      const auto node = parse_number<int>(w.substr(1, w.find('=') - 1));
      const auto count = parse_number<std::uint64_t>(w.substr(w.find('=') + 1));
      if (!node || !count) continue;
      pages[*node] += *count;
      sum += *count;
    }
  }
  if (v.use == Vma::Use::kAnon && !v.file.empty()) {
    // A private mapping of a file whose pages were all written to is the process's own memory by now.
    if (sources::is_shared_memory(v.file)) v.use = Vma::Use::kShared;
    else if (anon_pages * 2 < sum || sum == 0) v.use = Vma::Use::kFile;
  }
  const auto unit = page_kib ? *page_kib * kKib : v.use == Vma::Use::kHuge ? huge_page_bytes : page_bytes;
  for (const auto& [node, count] : pages) v.bytes[node] = count * unit;
  return v;
}

ProcessMemory parse_numa_maps(std::string_view text, std::uint64_t page_bytes, std::uint64_t huge_page_bytes) {
  ProcessMemory m;
  std::map<std::string, int, std::less<>> policies;
  std::vector<Vma> with_pages;
  for (auto line : split_lines(text)) {
    auto v = parse_numa_maps_line(line, page_bytes, huge_page_bytes);
    if (!v) continue;
    ++policies[v->policy];
    if (v->bytes.empty()) continue;
    add_vma(*v, m);
    with_pages.push_back(std::move(*v));
  }
  int most = 0;
  for (const auto& [policy, count] : policies)
    if (count > most) {
      most = count;
      m.policy = policy;
    }
  for (auto& v : with_pages)
    if (v.policy != m.policy) m.own_policy.push_back(std::move(v));
  return m;
}

// "4242 (a (strange) name) S 1 ..." : the name ends at the last ')'. Field numbers as in proc(5), from 1.
std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  const auto open = text.find('('), close = text.rfind(')');
  if (open == text.npos || close == text.npos || close < open) return std::nullopt;
  const auto words = split_words(text.substr(close + 1));
  constexpr std::size_t kFirst = 3;  // the word behind the name is field 3, the state
  const auto at = [&](std::size_t number) { return words[number - kFirst]; };
  constexpr std::size_t kLastCpu = 39;
  if (words.size() + kFirst <= kLastCpu || at(3).size() != 1) return std::nullopt;
  const auto parent = parse_number<int>(at(4));
  const auto user = parse_number<std::uint64_t>(at(14)), system = parse_number<std::uint64_t>(at(15));
  const auto start = parse_number<std::uint64_t>(at(22));
  const auto flags = parse_number<std::uint64_t>(at(9));
  const auto threads = parse_number<int>(at(20));
  const auto cpu = parse_number<int>(at(kLastCpu));
  if (!parent || !flags || !user || !system || !threads || !start || !cpu) return std::nullopt;
  constexpr std::uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
  return ProcStat{std::string(text.substr(open + 1, close - open - 1)), at(3)[0], *parent, *user, *system, *start, *threads, *cpu,
                  (*flags & kKernelThread) != 0};
}

std::optional<ProcessMemory> sources::read_memory(const FileTree& tree, int pid) {
  const auto maps = tree.read(path_of(pid, "numa_maps"));
  if (!maps) return std::nullopt;
  return parse_numa_maps(*maps, kBasePage, kHugePage);
}

Result<ProcessInfo> read_process(const FileTree& tree, int pid, const ProcessDetail& detail) {
  NUMAPIN_TRY(const auto stat_text, tree.read(path_of(pid, "stat")));
  NUMAPIN_TRY(const auto status, tree.read(path_of(pid, "status")));
  const auto stat = parse_proc_stat(stat_text);
  if (!stat) return fail(Error::Kind::kSystem, "read " + path_of(pid, "stat") + ": not in the form of proc(5)");
  ProcessInfo p;
  p.pid = pid;
  p.parent = stat->parent;
  p.name = stat->name;
  p.start_ticks = stat->start_ticks;
  p.kernel_thread = stat->kernel_thread;
  p.resident_bytes = sources::status_bytes(status, "VmRSS");
  if (auto uid = number_field(status, "Uid")) p.uid = static_cast<int>(*uid);
  if (auto list = field(status, "Mems_allowed_list"))
    if (auto mems = NodeSet::parse(*list)) p.allowed_mems = *mems;
  if (auto command = tree.read(path_of(pid, "cmdline"))) p.command = command_of(std::move(*command));
  sources::read_open_devices(tree, p);
  if (detail.threads) read_threads(tree, p);
  if (detail.memory && p.resident_bytes.value_or(0) <= detail.count_up_to_bytes) read_memory(tree, status, p);
  return p;
}

std::vector<int> list_processes(const FileTree& tree) {
  std::vector<int> pids;
  const auto entries = tree.list("/proc");
  if (!entries) return pids;
  for (const auto& entry : *entries)
    if (auto pid = parse_number<int>(entry); pid && *pid > 0) pids.push_back(*pid);
  std::sort(pids.begin(), pids.end());
  return pids;
}

std::multimap<int, int> children_by_parent(const FileTree& tree) {
  std::multimap<int, int> children;
  for (int pid : list_processes(tree))
    if (auto text = tree.read(path_of(pid, "stat")))
      if (auto stat = parse_proc_stat(*text)) children.emplace(stat->parent, pid);
  return children;
}

std::vector<int> children_of(const FileTree& tree, int pid) {
  std::vector<int> children;
  const auto tids = tree.list(path_of(pid, "task"));
  if (!tids) return children;
  for (const auto& tid : *tids) {
    const auto text = tree.read(path_of(pid, "task/" + tid + "/children"));
    if (!text) continue;
    for (const auto word : split_words(*text))
      if (const auto child = parse_number<int>(word)) children.push_back(*child);
  }
  return children;
}

std::vector<int> process_tree(const FileTree& tree, int pid) {
  const bool listed = tree.read(path_of(pid, "task/" + std::to_string(pid) + "/children")).has_value();
  const auto by_parent = listed ? std::multimap<int, int>() : children_by_parent(tree);
  std::set<int> found = {pid};
  std::vector<int> open = {pid};
  while (!open.empty()) {
    const int at = open.back();
    open.pop_back();
    auto children = listed ? children_of(tree, at) : std::vector<int>();
    for (auto [it, end] = by_parent.equal_range(at); it != end; ++it) children.push_back(it->second);
    for (const int child : children)
      if (found.insert(child).second) open.push_back(child);
  }
  return {found.begin(), found.end()};
}

}  // namespace numapin
