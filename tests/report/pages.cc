#include "pages.h"

#include <filesystem>

#include "numapin/sources.h"
#include "render/report.h"
#include "support/made_machine.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

namespace fs = std::filesystem;

NamedSystem made(std::string name, const MachineShape& shape) {
  System s;
  s.machine = made_machine(shape);
  s.machine.hostname = {name, Source::kProcfs};
  complete(s.machine);
  return {std::move(name), std::move(s)};
}

/// What an unkind device, host or recording may call itself.
NamedSystem hostile_names() {
  auto hostile = made("hostile", {.nodes = 2, .gpus_per_node = 1});
  auto& m = hostile.system.machine;
  m.hostname = {"<script>alert('&\"')</script>\xff\x1b", Source::kProcfs};
  m.gpus[0].model = {"]]>&amp;<b>\x01", Source::kNvml};
  m.gpus[1].model = {std::string(300, 'W'), Source::kNvml};
  m.notes.push_back("--></style><svg onload=x>");
  return hostile;
}

NamedSystem without_nodes() {
  System s;
  s.machine.online = {CpuSet::range(0, 3), Source::kLscpu};
  s.machine.hostname = {"no nodes", Source::kProcfs};
  return {"without-nodes", s};
}

NamedSystem everything_unknown() { return {"empty", {}}; }

/// Allowed half of the CPUs, one GPU visible.
NamedSystem restricted() {
  auto half = made("restricted", {.nodes = 2, .gpus_per_node = 2});
  half.system.allowance.cpus = {CpuSet::range(0, 11), Source::kProcfs};
  half.system.allowance.mems = {NodeSet{0}, Source::kProcfs};
  half.system.allowance.visible_env["CUDA_VISIBLE_DEVICES"] = "1";
  return half;
}

Inspection process(PlacementState state, std::string line, std::string mend) {
  Inspection i;
  i.process.pid = 4242;
  i.process.name = "python3";
  i.process.command = "python3 train.py --data <here> --name \"a & b\" " + std::string(400, 'x');
  i.gpus = {0};
  i.verdict = {state, std::move(line), std::move(mend)};
  return i;
}

/// A figure for each pair of nodes and for each GPU and node: 100 where they are near, 55 elsewhere.
Measured figures_of(const Machine& m) {
  Measured measured;
  measured.numapin_version = "0.1.0";
  measured.taken_at = "2026-11-24T11:05:00Z";
  for (const auto node : cpu_nodes(m)) measured.cpu_nodes.push_back(node);
  for (const auto node : dram_nodes(m)) measured.memory_nodes.push_back(node);
  for (const auto memory : measured.memory_nodes) {
    for (const auto cpu : measured.cpu_nodes) {
      Measurement one;
      one.metric = Metric::kRead;
      one.cpu_node = cpu;
      one.memory_node = memory;
      one.samples = {cpu == memory ? 100.0 : 55.0};
      measured.measurements.push_back(one);
    }
    for (const auto& gpu : m.gpus) {
      const bool near = gpu.numa_nodes.value_or({}).contains(memory);
      Measurement one;
      one.metric = Metric::kHostToDevice;
      one.memory_node = memory;
      one.gpu = gpu.index;
      one.samples = {near ? 100.0 : 55.0};
      measured.measurements.push_back(one);
    }
  }
  for (const auto& gpu : m.gpus) measured.gpus.push_back({gpu.index, gpu.address, "", {}});
  return measured;
}

}  // namespace

std::vector<NamedSystem> shapes() {
  std::vector<NamedSystem> all;
  for (const auto& builtin : builtin_machines()) {
    if (auto opened = open_machine(builtin.name)) all.push_back({builtin.name, std::move(*opened)});
  }
  all.push_back(made("1-node-no-gpu", {.nodes = 1, .cores_per_node = 8, .gpus_per_node = 0}));
  all.push_back(made("4-nodes-16-gpus", {.nodes = 4, .cores_per_node = 32, .cores_per_l3 = 8, .gpus_per_node = 4}));
  all.push_back(made("64-nodes", {.nodes = 64, .cores_per_node = 4, .threads = 1, .gpus_per_node = 0}));
  all.push_back(made("smt8-wide", {.nodes = 2, .cores_per_node = 192, .threads = 8, .gpus_per_node = 1}));
  all.push_back(hostile_names());
  all.push_back(without_nodes());
  all.push_back(everything_unknown());
  all.push_back(restricted());
  return all;
}

std::vector<NamedSystem> recordings() {
  std::vector<NamedSystem> all;
  for (const auto& entry : fs::directory_iterator(source_dir() / "tests/machines")) {
    if (!fs::exists(entry.path() / "machine.snap")) continue;
    if (auto opened = open_machine(entry.path() / "machine.snap")) all.push_back({entry.path().filename(), std::move(*opened)});
  }
  return all;
}

std::vector<NamedSystem> corpus_systems() {
  std::vector<NamedSystem> all;
  const auto corpus = corpus_dir();
  if (!corpus) return all;
  for (const auto* folder : {"hwloc-xml", "nccl-xml", "nvidia-smi-topo"}) {
    for (const auto& entry : fs::directory_iterator(*corpus / folder)) {
      if (!entry.is_regular_file() || entry.path().extension() == ".json") continue;
      if (auto opened = open_machine(entry.path())) all.push_back({entry.path().filename(), std::move(*opened)});
    }
  }
  return all;
}

std::string page_of(const System& system) {
  Report report{system, "a test", "numapin report", {}, {}, {}, {}, {}, {}};
  Job job;
  job.one_process_per_gpu = true;
  job.cpus = CpuScope::kExclusive;
  for (const auto& gpu : system.machine.gpus) job.gpus.push_back({gpu.index, "", {}});
  if (!job.gpus.empty()) {
    auto plan = make_plan(system.machine, system.allowance, job);
    if (plan) report.plan = std::move(*plan);
    else report.no_plan = plan.error().message;
  }
  report.processes = {process(PlacementState::kWrong, "cpus on node 1, GPU 0 on node 0", "numapin rebind 4242"),
                      process(PlacementState::kOk, "cpus and memory on node 0", "")};
  report.process_notes = {"3 processes of other users cannot be looked into"};
  Setup setup;
  setup.system = system;
  setup.recorded = true;
  if (auto examined = examine(setup)) report.examinations = std::move(*examined);
  report.measured = figures_of(system.machine);
  return report_html(report);
}

Comparison comparison() {
  Comparison c;
  c.command = {"python3", "train.py", "--data=" + std::string(90, 'x')};
  c.metrics = {*parse_metric("higher:speed: ([0-9.]+) samples/sec", false), {}};
  for (const auto* name : {"none", "interleave", "both", "wrong"})
    c.configs.push_back({name, "numapin run --gpu 0 -- python3 train.py", "CPUs 0-11,24-35, memory preferred node 0"});
  for (int round = 0; round < 12; ++round)
    for (int config = 0; config < 4; ++config) {
      Trial t;
      t.config = config;
      t.round = round;
      t.status = config == 3 ? 137 : 0;
      t.wall_s = 10 + round + config;
      t.values = {std::vector<double>(20, 1000.0 + 10 * config + round * round), {t.wall_s}};
      t.bytes_by_node = {{0, 3ull << 30}, {1, 200ull << 20}};
      if (config == 3) t.last_lines = {"Killed"};
      c.trials.push_back(t);
    }
  c.stopped = "the budget of 10 min is spent after 12 rounds";
  return c;
}

}  // namespace numapin::test
