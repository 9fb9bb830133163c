#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "numapin/sources.h"
#include "sources/recorded.h"
#include "sources/snapshot_text.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Kind = Error::Kind;

std::string message(const Result<std::unique_ptr<MapTree>>& r) { return r ? "no error" : r.error().message; }

std::unique_ptr<FileTree> replay(const std::string& text) {
  auto tree = make_snapshot_tree(text, "test.snap");
  EXPECT_TRUE(tree) << (tree ? "" : tree.error().message) << "\n" << text;
  return tree ? std::move(*tree) : std::make_unique<MapTree>();
}

// ---- the text --------------------------------------------------------------------------------------------------------

KnownTree small_tree() {
  KnownTree t;
  for (const int cpu : {0, 1, 2, 10}) t.files[fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", cpu)] = "0\n";
  for (const int cpu : {0, 2, 10})
    t.files[fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu)] = fmt::format("{}\n", cpu);
  t.files["/sys/devices/system/cpu/online"] = "0-10\n";
  t.files["/sys/devices/pci0000:00/0000:00:01.0/uevent"] = "DRIVER=nvme\nPCI_CLASS=10802\n";
  t.files["/proc/mounts"] = "";
  t.files["/proc/odd name"] = "no newline \\ and \x01\xff tab\t";
  t.links["/sys/bus/pci/devices/0000:00:01.0"] = "/sys/devices/pci0000:00/0000:00:01.0";
  t.lists["/sys/devices/system/cpu"] = {"cpu0", "cpu1", "cpu10", "cpu2", "cpu3", "cpufreq", "online"};
  t.failures["/sys/devices/system/cpu/cpu0/cpu_capacity"] = Kind::kNotFound;
  t.failures["/sys/class/net/eth0/speed"] = Kind::kSystem;
  t.places.insert("/sys/class/drm");
  return t;
}

// The document of the format: change docs/snapshot.md with it.
TEST(SnapshotText, ReadsWell) {
  auto t = small_tree();
  EXPECT_EQ(write_snapshot(t, "replaced: nothing"), R"(numapin-snapshot 1
# replaced: nothing

/proc
  mounts ~
  odd\x20name ~ no newline \\ and \x01\xff tab\x09

/sys/bus/pci/devices
  0000:00:01.0 -> /sys/devices/pci0000:00/0000:00:01.0

/sys/class
  drm ?

/sys/class/net/eth0
  speed ! failed

/sys/devices/pci0000:00/0000:00:01.0
  uevent <
  |DRIVER=nvme
  |PCI_CLASS=10802

/sys/devices/system/cpu
  . : cpu[0-3,10] cpufreq online
  cpu[0-2,10]/topology/physical_package_id = 0
  online = 0-10

/sys/devices/system/cpu/cpu0
  cpu_capacity ! absent
  topology/thread_siblings_list = 0

/sys/devices/system/cpu/cpu2
  topology/thread_siblings_list = 2

/sys/devices/system/cpu/cpu10
  topology/thread_siblings_list = 10
)");
}

TEST(SnapshotText, GivesTheSameAnswers) {
  const auto known = small_tree();
  const auto t = replay(write_snapshot(known, ""));
  for (const auto& [path, content] : known.files) EXPECT_EQ(t->read(path), content) << path;
  EXPECT_EQ(t->read("/sys/bus/pci/devices/0000:00:01.0/uevent"), "DRIVER=nvme\nPCI_CLASS=10802\n");
  EXPECT_EQ(t->resolve("/sys/bus/pci/devices/0000:00:01.0"), "/sys/devices/pci0000:00/0000:00:01.0");
  EXPECT_THAT(*t->list("/sys/devices/system/cpu"), ElementsAre("cpu0", "cpu1", "cpu10", "cpu2", "cpu3", "cpufreq", "online"));
  EXPECT_EQ(t->read("/sys/devices/system/cpu/cpu0/cpu_capacity").error().kind, Kind::kNotFound);
  EXPECT_EQ(t->read("/sys/class/net/eth0/speed").error().kind, Kind::kSystem);
  EXPECT_EQ(t->read("/sys/devices/system/cpu/cpu1/cpu_capacity").error().kind, Kind::kNotRecorded);
  EXPECT_EQ(t->read("/sys/devices/system/cpu/smt").error().kind, Kind::kNotFound) << "the names are known";
  EXPECT_EQ(t->resolve("/sys/class/drm"), "/sys/class/drm");
  EXPECT_EQ(t->list("/sys/class/drm").error().kind, Kind::kNotRecorded);
}

TEST(SnapshotText, SurvivesCarriageReturnsOfAMailer) {
  auto text = write_snapshot(small_tree(), "");
  for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos; at += 2) text.insert(at, "\r");
  EXPECT_EQ(replay(text)->read("/sys/devices/pci0000:00/0000:00:01.0/uevent"), "DRIVER=nvme\nPCI_CLASS=10802\n");
}

TEST(SnapshotText, KeepsContentOfAnyBytes) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    KnownTree known;
    auto& content = known.files["/a"];
    const auto size = random() % 12;
    for (std::size_t i = 0; i < size; ++i) content += "\n\n \t\\x|ab\r\x80"[random() % 12];
    EXPECT_EQ(replay(write_snapshot(known, ""))->read("/a"), content) << testing::PrintToString(content);
  }
}

TEST(SnapshotText, KeepsNamesOfAnyBytes) {
  KnownTree known;
  std::vector<std::string> names = {"a b", "x[0-3]", "n007", "n008", "n009", "p|", "|", "99999999999", "\\", "-", "1", "2", "3", "e\xc3\xa9"};
  std::sort(names.begin(), names.end());
  known.lists["/d"] = names;
  for (const auto& name : names) known.files["/d/" + name] = name;
  const auto t = replay(write_snapshot(known, ""));
  EXPECT_EQ(*t->list("/d"), names);
  for (const auto& name : names) EXPECT_EQ(t->read("/d/" + name), name);
}

TEST(SnapshotText, NamesTheLineOfAMistake) {
  const auto error = [](std::string_view body) { return message(parse_snapshot("numapin-snapshot 1\n" + std::string(body), "m.snap")); };
  EXPECT_EQ(error("/sys\n  a = 1\n  b\n"), "open m.snap: line 4: '=', '<', '->', '!', ':' or '?' is missing behind the name");
  EXPECT_EQ(error("  a = 1\n"), "open m.snap: line 2: an entry without a directory before it");
  EXPECT_EQ(error("sys\n"), "open m.snap: line 2: neither a path, nor an entry below one");
  EXPECT_EQ(error("/s\n  a <\n  b = 1\n"), "open m.snap: line 3: the lines of the content are missing");
  EXPECT_EQ(error("/s\n  |b\n"), "open m.snap: line 3: a line of content without a file before it");
  EXPECT_EQ(error("/s\n  a = \\q\n"), "open m.snap: line 3: a malformed \\ sequence");
  EXPECT_EQ(error("/s\n  a ! gone\n"), "open m.snap: line 3: behind '!' must be absent, denied or failed");
  EXPECT_EQ(error("/s\n  a -> b\n"), "open m.snap: line 3: the target of a link must be an absolute path");
  EXPECT_EQ(error("/s\n  . : a[3-1]\n"), "open m.snap: line 3: a malformed range of names");
  EXPECT_EQ(error("/s\n  . : a[0-999999999]\n"), "open m.snap: line 3: a malformed range of names");
  EXPECT_EQ(error("/s\n  a[0-2 = 1\n"), "open m.snap: line 3: a malformed range of names");
  EXPECT_EQ(error("/s\n  a[0-1] <\n  |b\n"), "open m.snap: line 3: only an entry of one line may stand for several");
  std::string many = "/s\n";
  for (int i = 0; i < 17; ++i) many += "  . : a[0-65535]\n";
  EXPECT_EQ(error(many), "open m.snap: line 7: too many names");
  EXPECT_EQ(error("/" + std::string(5000, 'a') + "\n"), "open m.snap: line 2: the path is too long");
}

TEST(SnapshotText, RefusesOtherVersions) {
  const auto newer = parse_snapshot("numapin-snapshot 2\n", "m.snap");
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().message, "open m.snap: made by a newer numapin (format 2, this one reads up to 1)");
  EXPECT_EQ(newer.error().hint, "update numapin");
  EXPECT_EQ(message(parse_snapshot("", "m")), "open m: line 1: not a snapshot of numapin");
  EXPECT_EQ(message(parse_snapshot("numapin-snapshot x\n", "m")), "open m: line 1: the format's version is not a number");
}

TEST(SnapshotText, SurvivesAnyDamage) {
  std::mt19937 random(5);
  const auto whole = write_snapshot(small_tree(), "c");
  for (int round = 0; round < 5000; ++round) {
    auto text = whole;
    for (int i = 0; i < 4; ++i) text[random() % text.size()] = "\n /|=~<>!:?\\x[]-0\xff"[random() % 19];
    if (round % 3 == 0) text.resize(random() % text.size());
    const auto t = parse_snapshot(text, "t");
    EXPECT_TRUE(t || t.error().kind == Kind::kBadInput);
    if (t) (void)(*t)->list("/sys/devices/system/cpu");
  }
}

// ---- a machine, recorded and replayed --------------------------------------------------------------------------------

MapTree machine_tree() {
  MapTree t;
  t.add_file("/proc/sys/kernel/hostname", "tuna\n");
  t.add_file("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
  t.add_file("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon\n\nprocessor\t: 1\nmodel name\t: Xeon\n\n");
  t.add_file("/proc/4242/status", "Name:\tnumapin\nUid:\t1000\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\nMems_allowed_list:\t0\n");
  t.add_file("/proc/4242/cgroup", "0::/kubepods/pod4f0d3a3c-1a2b-4c5d-8e9f-0123456789ab/tuna\n");
  t.add_link("/proc/self", "4242");
  t.add_file("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun\n");
  t.add_file("/proc/driver/nvidia/gpus/0000:01:00.0/information",
             "Model: \t\t NVIDIA A100\nIRQ:   \t\t 42\nGPU UUID: \t GPU-8932f937-d72c-4106-c12f-20bd9faed9f6\nDevice Minor: \t 0\n");
  t.add_file("/sys/devices/system/cpu/online", "0-1\n");
  t.add_file("/sys/devices/system/cpu/present", "0-1\n");
  for (const int cpu : {0, 1})
    t.add_file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu), fmt::format("{}\n", cpu));
  t.add_file("/sys/devices/system/node/online", "0\n");
  t.add_file("/sys/devices/system/node/node0/cpulist", "0-1\n");
  t.add_file("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  1000 kB\nNode 0 MemFree:  10 kB\n");
  t.add_file("/sys/devices/system/node/node0/distance", "10\n");
  const std::string gpu = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0";
  t.add_file(gpu + "/uevent", "DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID=10DE:20B0\n");
  t.add_file(gpu + "/numa_node", "0\n");
  t.add_file(gpu + "/local_cpulist", "0-1\n");
  t.add_failure(gpu + "/current_link_speed", Kind::kSystem);
  t.add_file("/sys/devices/pci0000:00/0000:00:01.0/uevent", "PCI_CLASS=60400\nPCI_ID=8086:2F02\n");
  t.add_link("/sys/bus/pci/devices/0000:01:00.0", "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
  t.add_link("/sys/bus/pci/devices/0000:00:01.0", "../../../devices/pci0000:00/0000:00:01.0");
  return t;
}

TEST(Snapshot, ReplaysTheSameSystem) {
  const auto tree = machine_tree();
  SnapshotOptions options;
  options.keep_ids = true;
  options.visible_env = {{"CUDA_VISIBLE_DEVICES", "0"}};
  const auto text = make_snapshot(tree, nullptr, options);
  ASSERT_TRUE(text) << text.error().message;
  const auto live = discover(tree, nullptr, options.visible_env), replayed = discover(*replay(*text), nullptr);
  ASSERT_TRUE(live && replayed);
  EXPECT_EQ(to_json(*live), to_json(*replayed)) << *text;
  EXPECT_EQ(live->machine.gpus.size(), 1U);
}

TEST(Snapshot, AsksNothingThatItDoesNotHold) {
  const auto text = make_snapshot(machine_tree(), nullptr, {});
  ASSERT_TRUE(text);
  const auto tree = replay(*text);
  const RecordingTree asked(*tree);
  ASSERT_TRUE(discover(asked, nullptr));
  const auto unanswered = [](const auto& answers) {
    std::vector<std::string> out;
    for (const auto& [path, a] : answers)
      if (!a && a.error().kind == Kind::kNotRecorded) out.push_back(path);
    return out;
  };
  EXPECT_THAT(unanswered(asked.record().reads), ElementsAre()) << *text;
  EXPECT_THAT(unanswered(asked.record().lists), ElementsAre());
  EXPECT_THAT(unanswered(asked.record().resolves), ElementsAre());
}

TEST(Snapshot, TellsNothingOfWhoseMachineItIs) {
  const auto text = make_snapshot(machine_tree(), nullptr, {});
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, Not(HasSubstr("tuna")));
  EXPECT_THAT(*text, Not(HasSubstr("8932f937")));
  EXPECT_THAT(*text, Not(HasSubstr("4f0d3a3c")));
  EXPECT_THAT(*text, Not(HasSubstr("4242"))) << "the number of the recording process";
  EXPECT_THAT(*text, Not(HasSubstr("Uid")));
  EXPECT_THAT(*text, HasSubstr("# replaced: host name, 2 UUIDs\n"));
  const auto s = discover(*replay(*text), nullptr);
  ASSERT_TRUE(s);
  EXPECT_EQ(*s->machine.hostname, "host");
  EXPECT_EQ(s->machine.gpus.at(0).uuid->substr(0, 4), "GPU-");
  EXPECT_EQ(s->machine.gpus.at(0).uuid->size(), 40U);
}

// CUDA_VISIBLE_DEVICES takes the beginning of a UUID; it names whose GPU it is, and must still mean the same one.
TEST(Snapshot, WritesOutTheBeginningOfAUuidAndReplacesIt) {
  const auto visible = [](const std::string& value) {
    SnapshotOptions options;
    options.visible_env = {{"CUDA_VISIBLE_DEVICES", value}};
    const auto text = make_snapshot(machine_tree(), nullptr, options);
    EXPECT_THAT(*text, Not(HasSubstr("8932f9")));
    const auto s = discover(*replay(*text), nullptr);
    return std::pair(s->allowance.visible_env.at("CUDA_VISIBLE_DEVICES"), *s->machine.gpus.at(0).uuid);
  };
  const auto [one, uuid] = visible("GPU-8932f9");
  EXPECT_EQ(one, uuid);
  EXPECT_EQ(visible("0, GPU-8932f9,1").first, "0," + uuid + ",1");
  EXPECT_EQ(visible("GPU-8932f94").first, "GPU-unknown");
  EXPECT_EQ(visible("").first, "");
  EXPECT_EQ(visible("MIG-GPU-8932f937-d72c-4106-c12f-20bd9faed9f6/1/0").first, "MIG-" + uuid + "/1/0");
}

TEST(Snapshot, OfASnapshotIsTheSame) {
  const auto once = make_snapshot(machine_tree(), nullptr, {});
  ASSERT_TRUE(once);
  SnapshotOptions keep;
  keep.keep_ids = true;
  const auto twice = make_snapshot(*replay(*once), nullptr, keep);
  ASSERT_TRUE(twice);
  EXPECT_EQ(once->substr(once->find("\n\n")), twice->substr(twice->find("\n\n")));
}

TEST(Snapshot, NeedsAMachine) {
  EXPECT_FALSE(make_snapshot(MapTree(), nullptr, {}));
}

// The only facts that two recordings of an idle machine may differ in.
std::string without_changing(std::string json) {
  std::string out;
  for (const auto line : split_lines(json))
    if (line.find("memory_free_bytes") == line.npos) out.append(line).append("\n");
  return out;
}

TEST(Snapshot, OfThisMachineReplaysAsItIs) {
  const auto live_tree = make_dir_tree("/");
  SnapshotOptions keep;
  keep.keep_ids = true;
  const auto text = make_snapshot(*live_tree, nullptr, keep);
  ASSERT_TRUE(text) << text.error().message;
  const auto live = discover(*live_tree, nullptr), replayed = discover(*replay(*text), nullptr);
  ASSERT_TRUE(live && replayed);
  EXPECT_EQ(without_changing(to_json(*live)), without_changing(to_json(*replayed)));
}

// ---- what NVML said --------------------------------------------------------------------------------------------------

Machine nvml_machine() {
  Machine m;
  m.driver_version = {"535.54.03", Source::kNvml};
  for (int i = 0; i < 2; ++i) {
    Gpu g;
    g.index = i;
    g.address = PciAddress{0x10000, static_cast<std::uint8_t>(0x18 + i), 0, 0};
    g.vendor = 0x10de, g.device = 0x2330;
    g.nvml_index = {i, Source::kNvml};
    g.uuid = {fmt::format("GPU-{}932f937-d72c-4106-c12f-20bd9faed9f6", i), Source::kNvml};
    g.model = {"NVIDIA H100 80GB HBM3", Source::kNvml};
    g.memory_bytes = {85899345920U, Source::kNvml};
    g.minor = {1 - i, Source::kNvml};
    g.numa_nodes = {NodeSet{0, 2}, Source::kNvml};
    g.local_cpus = {CpuSet{0, 1, 2, 64}, Source::kNvml};
    g.memory_node = {NodeId{2}, Source::kNvml};
    m.gpus.push_back(g);
  }
  m.gpus[1].minor = {};
  m.gpus[1].model = {};
  m.gpus[1].mig = {{"MIG-1", 1, 0, "1g.10gb", 10200547328U}, {"", std::nullopt, std::nullopt, "", std::nullopt}};
  Link link;
  link.from = {DeviceRef::Type::kGpu, 0}, link.to = {DeviceRef::Type::kGpu, 1};
  link.kind = LinkKind::kNvlink, link.count = 18, link.version = 4, link.source = Source::kNvml;
  m.links.push_back(link);
  std::swap(link.from, link.to);
  link.kind = LinkKind::kSys, link.count = {}, link.version = {};
  m.links.push_back(link);
  m.notes = {"NVML does not answer for GPU 2: GPU is lost"};
  return m;
}

TEST(NvmlFacts, WriteAndParseAreInverse) {
  const auto m = nvml_machine();
  const auto text = write_nvml_facts(m);
  const auto parsed = parse_nvml_facts(text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, m) << text;
}

TEST(NvmlFacts, KeepTheErrorToo) {
  const Result<Machine> broken = fail(Kind::kSystem, "count GPUs by NVML: driver not loaded");
  const auto parsed = parse_nvml_facts(write_nvml_facts(broken));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, broken.error().message);
}

TEST(NvmlFacts, RejectWhatIsNone) {
  for (const auto* text : {"gpu 1\n", "gpu\n", "mig 0 uuid=x\n", "link 0 1 XYZ\n", "model 0 x\n", "hello\n", "link\n"})
    EXPECT_FALSE(parse_nvml_facts(text)) << text;
  EXPECT_TRUE(parse_nvml_facts(""));
}

TEST(NvmlFacts, AreMergedWhenReplayed) {
  auto tree = machine_tree();
  tree.add_file(kRecordedNvml, "gpu 0 address=0000:01:00.0 vendor=10de device=20b0 nvml_index=0 memory_bytes=85899345920\n");
  const auto s = discover(tree, nullptr);
  ASSERT_TRUE(s);
  EXPECT_EQ(s->machine.gpus.at(0).memory_bytes, (Fact<std::uint64_t>(85899345920U, Source::kNvml)));
}

}  // namespace
}  // namespace numapin
