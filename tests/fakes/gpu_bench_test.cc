// bench gpu against the stand-in for the runtimes: exact figures, and every way that a driver can fail.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "bench/gpu_child.h"
#include "os/node_buffer.h"
#include "support/source_dir.h"

namespace numapin {
namespace {

using testing::HasSubstr;

/// One node, as many GPUs as there are addresses.
System system_with(const std::vector<std::string>& addresses) {
  System s;
  NumaNode node;
  node.cpus = {CpuSet{0}, Source::kSysfs};
  node.memory_total_bytes = {std::uint64_t{64} << 30, Source::kSysfs};
  node.memory_free_bytes = {std::uint64_t{1} << 30, Source::kSysfs};
  s.machine.nodes = {node};
  s.machine.online = {CpuSet{0}, Source::kSysfs};
  for (const auto& address : addresses) {
    Gpu gpu;
    gpu.index = static_cast<int>(s.machine.gpus.size());
    gpu.address = PciAddress::parse(address);
    gpu.numa_nodes = {NodeSet{0}, Source::kSysfs};
    PciDevice device;
    device.address = *gpu.address;
    device.link = {PciLink{32, 16}, Source::kSysfs};
    s.machine.gpus.push_back(gpu);
    s.machine.pci.push_back(device);
  }
  return s;
}

const std::vector<std::string> kOne{"0000:18:00.0"}, kTwo{"0000:18:00.0", "0000:98:00.0"};

/// Small enough that a thousand runs take seconds.
GpuBench small() {
  GpuBench o;
  o.quick = true;
  o.copy_bytes = 4 << 20;
  return o;
}

struct Fake {
  void* library = dlopen(FAKE_GPU, RTLD_NOW | RTLD_LOCAL);
  int number(const char* function) const { return reinterpret_cast<int (*)()>(dlsym(library, function))(); }
  int live() const { return number("fake_gpu_live"); }
  int calls() const { return number("fake_gpu_calls"); }
};

struct Answer {
  Result<void> done;
  std::string not_given_back;
  std::vector<Measurement> measurements;
};

Answer measure(const std::string& config, const System& s, const GpuBench& o, bool hip = false) {
  setenv("NUMAPIN_FAKE_GPU", config.c_str(), 1);
  Answer a;
  auto runtime = hip ? load_hip(nullptr, FAKE_GPU) : load_cuda(nullptr, FAKE_GPU);
  if (!runtime) {
    a.done = Unexpected(runtime.error());
    return a;
  }
  a.done = bench_gpu(s, **runtime, o, {}, [](double part, std::string_view) { EXPECT_LE(part, 1); },
                     [&](Measurement m) { a.measurements.push_back(std::move(m)); });
  a.not_given_back = (*runtime)->not_given_back();
  return a;
}

const Measurement* find(const Answer& a, Metric metric, std::optional<bool> access = {}, Together together = Together::kAlone) {
  for (const auto& m : a.measurements)
    if (m.metric == metric && m.together == together && (!access || m.peer_access == access)) return &m;
  return nullptr;
}

double figure(const Answer& a, Metric metric, std::optional<bool> access = {}, Together together = Together::kAlone) {
  const auto* m = find(a, metric, access, together);
  return m && median(*m) ? *median(*m) : -1;
}

bool can_bind() { return NodeBuffer::make(NodeId{0}, 4096, NodeBuffer::Pages::kBase).has_value(); }
#define NEEDS_NODE_0() if (!can_bind()) GTEST_SKIP() << "memory cannot be bound to node 0 here"

TEST(BenchGpu, GivesTheRatesOfTheRuntime) {
  NEEDS_NODE_0();
  const Fake fake;
  const auto a = measure("gpus=0000:18:00.0", system_with(kOne), small());
  ASSERT_TRUE(a.done) << a.done.error().message;
  EXPECT_NEAR(figure(a, Metric::kHostToDevice), 50, 0.01);
  EXPECT_NEAR(figure(a, Metric::kDeviceToHost), 40, 0.01);
  EXPECT_NEAR(figure(a, Metric::kBidirectional), 90, 0.01);
  EXPECT_NEAR(figure(a, Metric::kSmHostToDevice), 30, 0.01);
  EXPECT_NEAR(figure(a, Metric::kSmDeviceToHost), 30, 0.01);
  EXPECT_NEAR(figure(a, Metric::kGpuReadsHost), 1200, 0.01);
  EXPECT_GT(figure(a, Metric::kPageableHostToDevice), 0);
  EXPECT_NEAR(*find(a, Metric::kHostToDevice)->ceiling, 63.0 * 0.8777, 0.1);
  EXPECT_EQ(fake.live(), 0) << "everything was given back";
}

TEST(BenchGpu, GivesTheCurveOfSmallCopies) {
  NEEDS_NODE_0();
  auto options = small();
  options.quick = false;
  const auto a = measure("gpus=0000:18:00.0", system_with(kOne), options);
  std::set<std::uint64_t> sizes;
  for (const auto& m : a.measurements)
    if (m.metric == Metric::kSmallDeviceToHost) sizes.insert(*m.bytes);
  EXPECT_THAT(sizes, testing::ElementsAre(8, 64, 512, 4096, 32768, 262144, 1048576));
}

TEST(BenchGpu, MeasuresPairsWithAndWithoutAccess) {
  NEEDS_NODE_0();
  const Fake fake;
  const auto a = measure("gpus=0000:18:00.0,0000:98:00.0;peer=1", system_with(kTwo), small());
  ASSERT_TRUE(a.done) << a.done.error().message;
  EXPECT_NEAR(figure(a, Metric::kPeerWrite, false), 20, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerWrite, true), 200, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerRead, true), 200, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerBidirectional, true), 400, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerLatency), 700, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerWrite, true, Together::kRing), 200, 0.01);
  EXPECT_NEAR(figure(a, Metric::kHostToDevice, {}, Together::kAllGpus), 50, 0.01);
  EXPECT_EQ(fake.live(), 0);
}

TEST(BenchGpu, SaysWhereThereIsNoPeerAccess) {
  NEEDS_NODE_0();
  const auto a = measure("gpus=0000:18:00.0,0000:98:00.0", system_with(kTwo), small());
  ASSERT_TRUE(a.done);
  EXPECT_NEAR(figure(a, Metric::kPeerWrite, false), 20, 0.01);
  ASSERT_NE(find(a, Metric::kPeerWrite, true), nullptr);
  EXPECT_EQ(find(a, Metric::kPeerWrite, true)->skipped, "the driver allows no peer access between them");
}

TEST(BenchGpu, TakesHipForCopies) {
  NEEDS_NODE_0();
  const Fake fake;
  const auto a = measure("gpus=0000:18:00.0,0000:98:00.0;peer=1", system_with(kTwo), small(), true);
  ASSERT_TRUE(a.done) << a.done.error().message;
  EXPECT_NEAR(figure(a, Metric::kHostToDevice), 50, 0.01);
  EXPECT_NEAR(figure(a, Metric::kPeerWrite, true), 200, 0.01);
  EXPECT_THAT(find(a, Metric::kSmHostToDevice)->skipped, HasSubstr("copies only"));
  EXPECT_EQ(fake.live(), 0);
}

TEST(BenchGpu, DoesNotTrustCopiesThatChangeTheData) {
  NEEDS_NODE_0();
  const auto a = measure("gpus=0000:18:00.0;damage=1", system_with(kOne), small());
  ASSERT_FALSE(a.done);
  EXPECT_EQ(a.done.error().message, "copy to GPU 0 and back: the data came back changed");
}

TEST(BenchGpu, NeedsTheMachinesGpus) {
  const auto a = measure("gpus=0000:77:00.0", system_with(kOne), small());
  ASSERT_FALSE(a.done);
  EXPECT_EQ(a.done.error().kind, Error::Kind::kUnsupported);
  EXPECT_EQ(a.done.error().message, "measure GPUs: CUDA shows none of the wanted ones");
}

/// An Error or a reason that names what failed.
void expect_told(const Answer& a, const std::string& words, const std::string& context) {
  bool told = a.not_given_back.find(words) == 0 || (!a.done && a.done.error().message.find(words) != std::string::npos);
  for (const auto& m : a.measurements) told = told || m.skipped.find(words) != std::string::npos;
  EXPECT_TRUE(told) << context << (a.done ? ": no error" : ": " + a.done.error().message);
}

/// Every function that the table of a runtime looks up, by its source: a new one is tested without anybody's thinking of it.
/// Without those that only name an error, and those that give back a context, after which nobody listens.
std::vector<std::string> functions_of(const std::string& file) {
  std::ifstream in(test::source_dir() / "src/gpu" / file);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::string> names;
  const std::regex looked_up(R"re(need\("(\w+)")re");
  for (std::sregex_iterator at(text.begin(), text.end(), looked_up), end; at != end; ++at)
    if (const auto name = (*at)[1].str(); name.find("Error") == name.npos && name != "cuDevicePrimaryCtxRelease" && name != "cuModuleUnload")
      names.push_back(name);
  return names;
}
const struct {
  bool hip;
  const char* file;
} kRuntimes[] = {{false, "cuda.cc"}, {true, "hip.cc"}};
bool needs_two(const std::string& function) { return function.find("Peer") != function.npos; }

TEST(BenchGpu, TellsEachFunctionThatFailsAndLeaksNothing) {
  NEEDS_NODE_0();
  const Fake fake;
  for (const auto& [hip, file] : kRuntimes) {
    const auto functions = functions_of(file);
    ASSERT_GT(functions.size(), 18u) << file;
    for (const auto& function : functions) {
      const bool two = needs_two(function);  // others fail with one GPU, which takes less time
      const auto a = measure((two ? "gpus=0000:18:00.0,0000:98:00.0;peer=1;fail=" : "gpus=0000:18:00.0;fail=") + function + ":2",
                             system_with(two ? kTwo : kOne), small(), hip);
      expect_told(a, "call " + function + ": ", function);
      EXPECT_EQ(fake.live(), 0) << function;
    }
  }
}

/// Fails every call up to `all`, then about `spread` of the rest.
void fail_calls_in_turn(const std::string& gpus, const System& s, int all, int spread) {
  const Fake fake;
  ASSERT_TRUE(measure(gpus, s, small()).done);
  const int calls = fake.calls();
  for (int at = 1; at < calls; at += at < all ? 1 : 1 + calls / spread) {
    const auto a = measure(gpus + ";fail_at=" + std::to_string(at) + ":999", s, small());
    ASSERT_EQ(fake.live(), 0) << "call " << at << " of " << calls;
  }
}

TEST(BenchGpu, LeaksNothingWhicheverCallFails) {
  NEEDS_NODE_0();
  fail_calls_in_turn("gpus=0000:18:00.0", system_with(kOne), 60, 20);
  fail_calls_in_turn("gpus=0000:18:00.0,0000:98:00.0;peer=1", system_with(kTwo), 0, 12);
}

// ---- in a child -----------------------------------------------------------------------------------------------------------

Result<GpuReport> in_child(const std::string& config, const GpuLibraries& libraries = {FAKE_GPU, "libno-hip.so"}, int limit_s = 60) {
  setenv("NUMAPIN_FAKE_GPU", config.c_str(), 1);
  return bench_gpu_in_child(system_with(kOne), small(), libraries, std::chrono::seconds(limit_s), {}, [](double, std::string_view) {});
}

TEST(BenchGpuChild, BringsTheFiguresOver) {
  NEEDS_NODE_0();
  const auto report = in_child("gpus=0000:18:00.0");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->notes, testing::IsEmpty());
  ASSERT_FALSE(report->measurements.empty());
  EXPECT_NEAR(*median(report->measurements.front()), 50, 0.01);
}

TEST(BenchGpuChild, GivesUpOnADriverThatHangs) {
  NEEDS_NODE_0();
  const auto report = in_child("gpus=0000:18:00.0;hang=cuMemAlloc_v2", {FAKE_GPU, "libno-hip.so"}, 1);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "measure GPUs: the driver has not come back from cuMemAlloc_v2 for 1 s");
}

/// What `bench gpu` says when this function never returns, from a process of its own: most of the time is waiting.
std::string said_of_hang(const std::string& function, bool hip) {
  const bool two = needs_two(function);
  setenv("NUMAPIN_FAKE_GPU", ((two ? "gpus=0000:18:00.0,0000:98:00.0;peer=1;hang=" : "gpus=0000:18:00.0;hang=") + function).c_str(), 1);
  const auto report = bench_gpu_in_child(system_with(two ? kTwo : kOne), small(), hip ? GpuLibraries{"libno-cuda.so.1", FAKE_GPU} : GpuLibraries{FAKE_GPU, ""},
                                         std::chrono::seconds(2), {}, [](double, std::string_view) {});
  return !report ? report.error().message : report->notes.empty() ? "nothing" : report->notes.back();
}

TEST(BenchGpuChild, GivesUpWhicheverFunctionHangs) {
  NEEDS_NODE_0();
  struct Waiting {
    std::string function;
    pid_t pid;
    int fd;
  };
  std::vector<Waiting> all;
  for (const auto& [hip, file] : kRuntimes)
    for (const auto& function : functions_of(file)) {
      int ends[2];
      ASSERT_EQ(pipe(ends), 0);
      const pid_t pid = fork();
      if (pid == 0) {
        const auto said = said_of_hang(function, hip);
        _exit(write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
      }
      close(ends[1]);
      all.push_back({function, pid, ends[0]});
    }
  for (const auto& one : all) {
    char text[512];
    const auto bytes = read(one.fd, text, sizeof text);
    close(one.fd);
    waitpid(one.pid, nullptr, 0);
    EXPECT_THAT(std::string(text, bytes > 0 ? static_cast<std::size_t>(bytes) : 0),
                HasSubstr("the driver has not come back from " + one.function + " for 2 s"));
  }
}

TEST(BenchGpuChild, KeepsWhatWasMeasuredBeforeTheDriverCrashed) {
  NEEDS_NODE_0();
  const auto report = in_child("gpus=0000:18:00.0;crash=cuLaunchKernel");
  ASSERT_FALSE(report) << "the first copies are behind a kernel already";
  EXPECT_EQ(report.error().message,
            "measure GPUs: the process that uses the driver ended in cuLaunchKernel: Killed");
  const auto two = [] {
    setenv("NUMAPIN_FAKE_GPU", "gpus=0000:18:00.0,0000:98:00.0;peer=1;crash=cuDeviceCanAccessPeer", 1);
    return bench_gpu_in_child(system_with(kTwo), small(), {FAKE_GPU, ""}, std::chrono::seconds(60), {}, [](double, std::string_view) {});
  }();
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_FALSE(two->measurements.empty());
  ASSERT_EQ(two->notes.size(), 1U);
  EXPECT_THAT(two->notes.front(), HasSubstr("ended in cuDeviceCanAccessPeer"));
}

TEST(BenchGpuChild, SaysPlainlyThatThereIsNoDriver) {
  const auto none = in_child("", {"libno-cuda.so.1", "libno-hip.so"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, Error::Kind::kUnsupported);
  EXPECT_THAT(none.error().message, HasSubstr("measure GPUs: no driver here"));
  const auto no_device = in_child("gpus=");
  ASSERT_FALSE(no_device);
  EXPECT_EQ(no_device.error().kind, Error::Kind::kUnsupported);
}

TEST(BenchGpuChild, FallsBackToHip) {
  NEEDS_NODE_0();
  const auto report = in_child("gpus=0000:18:00.0", {"libno-cuda.so.1", FAKE_GPU});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->notes, testing::ElementsAre(HasSubstr("not on hardware")));
  EXPECT_NEAR(*median(report->measurements.front()), 50, 0.01);
}

}  // namespace
}  // namespace numapin
