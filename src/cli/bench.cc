// numapin bench: what near and far cost on this machine.
#include "cli/bench.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "bench/gpu_child.h"
#include "bench/memory.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/write_file.h"
#include "diagnose/measured.h"
#include "numapin/measured.h"
#include "numapin/sources.h"
#include "plan/room.h"
#include "render/layout.h"
#include "render/measured.h"

namespace numapin::cli {
namespace {

struct Options {
  std::vector<std::string> parts;
  bool quick = false, cores = false, json = false;
  std::string out, size, nodes;
  int gpu_timeout = 60;
  bool wants(std::string_view part) const {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  }
};

constexpr const char* kExamples =
    "  numapin bench                           # memory of each node, then GPUs, then what placement is worth here\n"
    "  numapin bench memory --quick            # seconds instead of minutes\n"
    "  numapin bench memory --cores            # also each core with each other\n"
    "  numapin bench --out here.json; numapin topo --measured here.json\n"
    "\n"
    "Use an idle machine: what others do is in the figures. Exit status 0: measured; 1: failed; 3: nothing to measure here.";

/// "[=====     ] 48 %  read: node 0 to memory of node 1", on one line of a terminal; nothing elsewhere.
class ProgressBar {
 public:
  explicit ProgressBar(std::ostream& err, int width) : err_(err), width_(std::max(width, 40) - 1), on_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressBar() { clear(); }
  void show(double part, std::string_view step) {
    if (!on_) return;
    constexpr int kBar = 24;
    const int full = static_cast<int>(part * kBar);
    auto line = fmt::format("[{}{}] {:3.0f} %  {}", std::string(static_cast<std::size_t>(full), '='),
                            std::string(static_cast<std::size_t>(kBar - full), ' '), 100 * part, step);
    line.resize(std::min(line.size(), static_cast<std::size_t>(width_)));
    err_ << '\r' << padded(line, static_cast<std::size_t>(width_)) << std::flush;
    shown_ = true;
  }
  void clear() {
    if (shown_) err_ << '\r' << std::string(static_cast<std::size_t>(width_), ' ') << '\r' << std::flush;
    shown_ = false;
  }

 private:
  std::ostream& err_;
  int width_;
  bool on_, shown_ = false;
};

Measured empty_report(const System& s) {
  Measured m;
  m.numapin_version = NUMAPIN_VERSION;
  m.taken_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  m.cpu_model = s.machine.cpu_model.value_or("");
  for (const NodeId id : cpu_nodes(s.machine)) m.cpu_nodes.push_back(id);
  const auto targets = memory_targets(s.machine, {});
  m.memory_nodes = {targets.own.begin(), targets.own.end()};
  m.gpu_memory_nodes = {targets.gpu.begin(), targets.gpu.end()};
  return m;
}

void append(Measured& m, std::vector<Measurement> more) {
  m.measurements.insert(m.measurements.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Result<MemoryBench> memory_options(const Options& o) {
  MemoryBench b;
  b.quick = o.quick;
  if (!o.size.empty()) {
    const auto size = parse_room_wish(o.size);
    if (!size || size->mode != RoomWish::Mode::kSize)
      return bad_input(fmt::format("read --size '{}': not a size", o.size), "give bytes or 64M, 2G");
    b.buffer_bytes = size->bytes;
  }
  if (!o.nodes.empty()) {
    NUMAPIN_TRY(b.nodes, NodeSet::parse(o.nodes));
  }
  return b;
}

Result<void> measure_memory(Session& s, const System& system, const Options& o, Measured& report) {
  NUMAPIN_TRY(const auto options, memory_options(o));
  ProgressBar bar(s.err, s.width);
  const BenchProgress progress = [&](double part, std::string_view step) { bar.show(part, step); };
  NUMAPIN_TRY(auto memory, bench_memory(system, s.live, options, progress));
  append(report, std::move(memory));
  append(report, bench_migration(system, o.quick));
  if (o.cores) {
    NUMAPIN_TRY(auto cores, bench_cores(system, o.quick, progress));
    append(report, std::move(cores));
  }
  return {};
}

std::vector<MeasuredGpu> gpus_of(const Machine& m, const std::vector<Measurement>& measurements) {
  std::vector<MeasuredGpu> out;
  for (const auto& gpu : m.gpus) {
    const bool there = std::any_of(measurements.begin(), measurements.end(), [&](const Measurement& x) { return x.gpu == gpu.index; });
    if (!there) continue;
    out.push_back({gpu.index, gpu.address, gpu.model.value_or(std::string(device_name(gpu.vendor, gpu.device))), {}});
    for (const NodeId id : gpu.numa_nodes.value_or(NodeSet{})) out.back().nodes.push_back(id);
  }
  return out;
}

Result<void> measure_gpus(Session& s, const System& system, const Options& o, Measured& report) {
  GpuBench options;
  options.quick = o.quick;
  if (!o.nodes.empty()) {
    NUMAPIN_TRY(options.nodes, NodeSet::parse(o.nodes));
  }
  const LookAgain look_again = [&] {
    auto now = from_files(s.live);
    if (!now) return system.machine;
    (void)merge(*now, system.machine);
    complete(*now);
    return std::move(*now);
  };
  ProgressBar bar(s.err, s.width);
  const BenchProgress progress = [&](double part, std::string_view step) { bar.show(part, step); };
  NUMAPIN_TRY(auto gpus, bench_gpu_in_child(system, options, {}, std::chrono::seconds(o.gpu_timeout), look_again, progress));
  report.gpus = gpus_of(system.machine, gpus.measurements);
  append(report, std::move(gpus.measurements));
  report.notes.insert(report.notes.end(), gpus.notes.begin(), gpus.notes.end());
  return {};
}

/// CPU time that a hypervisor gave to others, and all CPU time, in ticks since boot: line "cpu" of /proc/stat.
struct Ticks {
  std::uint64_t stolen = 0, all = 0;
};
Ticks ticks(const FileTree& tree) {
  Ticks t;
  const auto text = tree.read("/proc/stat");
  if (!text) return t;
  const auto lines = split_lines(*text);
  const auto words = lines.empty() ? std::vector<std::string_view>() : split_words(lines.front());
  for (std::size_t i = 1; i < words.size() && i <= 8; ++i) {
    const auto n = std::strtoull(std::string(words[i]).c_str(), nullptr, 10);
    t.all += n;
    if (i == 8) t.stolen = n;
  }
  return t;
}

void note_stolen_time(const Ticks& before, const Ticks& after, Measured& report) {
  const auto all = after.all - before.all, stolen = after.stolen - before.stolen;
  if (all > 0 && stolen * 100 >= all)
    report.notes.push_back(fmt::format("the hypervisor gave {:.0f} % of the CPU time to others meanwhile",
                                       100.0 * static_cast<double>(stolen) / static_cast<double>(all)));
}

int print(Session& s, const System& system, const Options& o, const Measured& report) {
  const auto json = to_json(report);
  if (!o.out.empty()) {
    if (const auto written = write_file(o.out, json, true); !written) return s.report(written.error());
    s.say(fmt::format("wrote {}: topo, plan, launch, analyze and doctor read it with --measured", o.out));
  }
  if (o.json) {
    s.out << json;
    return kDone;
  }
  const auto verdict = measured_verdict(report, system.machine);
  s.out << measured_text(report, verdict.text, verdict.command, TextStyle{s.width, s.unicode_out, s.color_out});
  return kDone;
}

int run(const Options& o, Session& s) {
  const auto system = s.system("");
  if (!system) return s.report(system.error());
  auto report = empty_report(*system);
  const auto before = ticks(s.live);
  if (o.parts.empty() || o.wants("memory")) {
    if (const auto done = measure_memory(s, *system, o, report); !done) return s.report(done.error());
  }
  if (o.parts.empty() || o.wants("gpu")) {
    const auto done = measure_gpus(s, *system, o, report);
    // Asked for by name it is an error; beside the memory's figures a machine without GPUs is one like any other.
    if (!done && (o.wants("gpu") || done.error().kind != Error::Kind::kUnsupported)) return s.report(done.error());
    if (!done && !system->machine.gpus.empty()) report.notes.push_back(done.error().message);
  }
  note_stolen_time(before, ticks(s.live), report);
  return print(s, *system, o, report);
}

}  // namespace

Runner add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("part", o->parts, "What to measure: memory, gpu; none: both")->type_name("PART")->check(one_of({"memory", "gpu"}));
  app.add_flag("--quick", o->quick, "Fewer and shorter samples, no curves: seconds instead of minutes");
  app.add_flag("--cores", o->cores, "Also the time of a cache line from each core to each other");
  app.add_option("--size", o->size, "Size of the buffer on each node, instead of a multiple of the L3 caches")->type_name("SIZE");
  app.add_option("--nodes", o->nodes, "Only these NUMA nodes")->type_name("LIST");
  app.add_option("--gpu-timeout", o->gpu_timeout, "Give up when the GPU driver is silent for so many seconds (60)")
      ->type_name("SECONDS")
      ->check(number_from(1, 3600));
  app.add_option("--out", o->out, "Write the report there, for --measured of other commands")->type_name("FILE");
  add_json_flag(app, o->json);
  set_examples(app, kExamples);
  return [o](Session& s) { return run(*o, s); };
}

}  // namespace numapin::cli
