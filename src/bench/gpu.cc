#include "bench/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "bench/chase.h"
#include "bench/sampling.h"
#include "bench/team.h"
#include "diagnose/measured.h"
#include "os/node_buffer.h"

namespace numapin {
namespace {

constexpr std::uint64_t kSpinTimeoutNs = 10'000'000'000;
/// A GPU's pointer chase: large enough for no GPU cache that holds host memory, small enough for one page of its TLB.
constexpr std::uint64_t kChaseBytes = 2 << 20;
constexpr std::uint64_t kSmallCopies[] = {8, 64, 512, 4096, 32 << 10, 256 << 10, 1 << 20};

// ---- owners -------------------------------------------------------------------------------------------------------------

struct DeviceMemory {
  GpuRuntime& runtime;
  int device;
  GpuAddress at;
  DeviceMemory(GpuRuntime& r, int d, GpuAddress a) : runtime(r), device(d), at(a) {}
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory() {
    (void)runtime.use(device);
    runtime.free(at);
  }
  static Result<std::unique_ptr<DeviceMemory>> make(GpuRuntime& r, int device, std::uint64_t bytes) {
    NUMAPIN_CHECK_OK(r.use(device));
    NUMAPIN_TRY(const auto at, r.allocate(bytes));
    return std::make_unique<DeviceMemory>(r, device, at);
  }
};

/// Memory of one node, pinned: allocated and bound by us, as the runtimes' own allocators put it where they like (trap 42).
struct PinnedMemory {
  GpuRuntime& runtime;
  NodeBuffer buffer;
  GpuAddress at = 0;
  PinnedMemory(GpuRuntime& r, NodeBuffer b) : runtime(r), buffer(std::move(b)) {}
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  ~PinnedMemory() {
    if (at != 0) runtime.unpin(buffer.data());
  }
  static Result<std::unique_ptr<PinnedMemory>> make(GpuRuntime& r, NodeId node, std::uint64_t bytes) {
    NUMAPIN_TRY(auto buffer, NodeBuffer::make(node, bytes, NodeBuffer::Pages::kHuge));
    auto memory = std::make_unique<PinnedMemory>(r, std::move(buffer));
    NUMAPIN_TRY(memory->at, r.pin(memory->buffer.data(), memory->buffer.bytes()));
    NUMAPIN_CHECK_OK(memory->buffer.verify());  // pinning must not have moved them
    return memory;
  }
};

/// A stream of one GPU with the two events that time it.
struct Lane {
  GpuRuntime& runtime;
  int device;
  GpuStream stream;
  GpuEvent start, end;
  Lane(GpuRuntime& r, int d) : runtime(r), device(d) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() {
    (void)runtime.use(device);
    for (const auto event : {start, end})
      if (event.handle) runtime.destroy(event);
    if (stream.handle) runtime.destroy(stream);
  }
  static Result<std::unique_ptr<Lane>> make(GpuRuntime& r, int device) {
    auto lane = std::make_unique<Lane>(r, device);
    NUMAPIN_CHECK_OK(r.use(device));
    NUMAPIN_TRY(lane->stream, r.make_stream());
    NUMAPIN_TRY(lane->start, r.make_event());
    NUMAPIN_TRY(lane->end, r.make_event());
    return lane;
  }
};

/// One lane's work: `enqueue(stream, times)` puts that many copies of `bytes` in a row.
struct Work {
  Lane* lane = nullptr;
  std::uint64_t bytes = 0;
  std::function<Result<void>(GpuStream, int times)> enqueue;
};

/// Lowers the latch, whatever happens: a spin kernel left alone would hold its stream for seconds.
struct Latch {
  std::atomic<std::uint32_t>& value;
  explicit Latch(std::atomic<std::uint32_t>& v) : value(v) { value.store(0); }
  void open() { value.store(1); }
  ~Latch() { open(); }
};

// ---- the run ------------------------------------------------------------------------------------------------------------

struct Device {
  const Gpu* gpu = nullptr;
  int ordinal = 0;
  int blocks = 0;  ///< multiprocessors
};

class GpuRun {
 public:
  GpuRun(const System& s, GpuRuntime& r, const GpuBench& o, const LookAgain& look, const BenchProgress& p, const TakeMeasurement& t)
      : s_(s), r_(r), o_(o), look_again_(look), progress_(p), take_(t), plan_(o.quick ? SamplePlan{3, 1, 0, 1} : SamplePlan{5, 1, 0, 1}) {
    nodes_ = dram_nodes(s.machine);
    if (s.allowance.mems) nodes_ &= *s.allowance.mems;
    if (o.nodes) nodes_ &= *o.nodes;
  }

  Result<void> run() {
    NUMAPIN_CHECK_OK(find_devices());
    if (nodes_.empty()) return fail(Error::Kind::kUnsupported, "measure GPUs: no node's memory may be used");
    NUMAPIN_CHECK_OK(make_latch());
    const auto pairs = devices_.size() * static_cast<std::size_t>(nodes_.size());
    steps_ = static_cast<double>(pairs * 8 + devices_.size() * (devices_.size() - 1) * 2 + (devices_.size() > 1 ? 2 * static_cast<std::size_t>(nodes_.size()) : 0));
    for (const auto& device : devices_)
      for (const NodeId node : nodes_) measure_pair(device, node);
    if (devices_.size() > 1) {
      measure_together();
      measure_peers();
    }
    if (figures_ == 0 && first_failure_) return Unexpected(*first_failure_);
    return {};
  }

 private:
  Result<void> find_devices() {
    NUMAPIN_TRY(const auto found, r_.devices());
    for (const auto& d : found) {
      const auto* gpu = d.address ? find_gpu(s_.machine, *d.address) : nullptr;
      if (!gpu || (o_.gpus && !o_.gpus->contains(gpu->index))) continue;
      if (std::any_of(devices_.begin(), devices_.end(), [&](const Device& x) { return x.gpu == gpu; })) continue;  // a second MIG part
      NUMAPIN_TRY(const int blocks, r_.multiprocessors(d.ordinal));
      devices_.push_back({gpu, d.ordinal, blocks});
    }
    if (devices_.empty())
      return fail(Error::Kind::kUnsupported, fmt::format("measure GPUs: {} shows none of the wanted ones", r_.name()),
                  "numapin topo lists the GPUs; CUDA_VISIBLE_DEVICES and its like hide some");
    std::sort(devices_.begin(), devices_.end(), [](const Device& a, const Device& b) { return a.gpu->index < b.gpu->index; });
    return {};
  }

  Result<void> make_latch() {
    if (!r_.has_kernels()) return {};
    NUMAPIN_CHECK_OK(r_.use(devices_.front().ordinal));
    NUMAPIN_TRY(latch_memory_, PinnedMemory::make(r_, nodes_.first(), 4096));
    return {};
  }
  std::atomic<std::uint32_t>& latch() { return *reinterpret_cast<std::atomic<std::uint32_t>*>(latch_memory_->buffer.data()); }

  void step(std::string_view what) { progress_(std::min(1.0, done_++ / steps_), what); }

  /// Times all lanes at once: each waits on the GPU until every command of every lane is queued. Returns ms by lane.
  Result<std::vector<double>> time_once(const std::vector<Work>& works, int times) {
    std::optional<Latch> closed;
    if (r_.has_kernels()) closed.emplace(latch());
    for (const auto& w : works) {
      NUMAPIN_CHECK_OK(r_.use(w.lane->device));
      if (closed) NUMAPIN_CHECK_OK(r_.spin(latch_memory_->at, kSpinTimeoutNs, w.lane->stream));
      NUMAPIN_CHECK_OK(w.enqueue(w.lane->stream, 1));  // warms the copy engine up and lets all lanes be under way
      NUMAPIN_CHECK_OK(r_.record(w.lane->start, w.lane->stream));
      NUMAPIN_CHECK_OK(w.enqueue(w.lane->stream, times));
      NUMAPIN_CHECK_OK(r_.record(w.lane->end, w.lane->stream));
    }
    if (closed) closed->open();
    std::vector<double> ms;
    for (const auto& w : works) {
      NUMAPIN_CHECK_OK(r_.use(w.lane->device));
      NUMAPIN_CHECK_OK(r_.synchronize(w.lane->stream));
      NUMAPIN_TRY(const double time, r_.elapsed_ms(w.lane->start, w.lane->end));
      if (!(time > 0)) return fail(Error::Kind::kSystem, "time a copy: the driver says it took no time");
      ms.push_back(time);
    }
    return ms;
  }

  /// GB/s by lane and sample, in the order [lane][sample].
  Result<std::vector<std::vector<double>>> time_lanes(const std::vector<Work>& works, int times) {
    std::vector<std::vector<double>> rates(works.size());
    for (int i = 0; i < plan_.samples + 1; ++i) {
      NUMAPIN_TRY(const auto ms, time_once(works, times));
      for (std::size_t w = 0; w < works.size() && i > 0; ++w)  // the first is the warm-up
        rates[w].push_back(static_cast<double>(works[w].bytes) * times / (ms[w] * 1e6));
    }
    return rates;
  }

  /// Fills the samples, or says why there are none, and hands the measurement out.
  void hand_out(Measurement m, Result<void> done) {
    if (!done) {
      m.samples.clear();
      m.skipped = done.error().message;
      if (!first_failure_) first_failure_ = done.error();
    } else if (!m.samples.empty()) {
      ++figures_;
    }
    take_(std::move(m));
  }

  Measurement of_pair(Metric metric, const Device& d, NodeId node) const {
    Measurement m;
    m.metric = metric;
    m.gpu = d.gpu->index;
    m.memory_node = node;
    if (cpu_) m.cpu_node = cpu_node_, m.cpu = cpu_;
    return m;
  }

  // ---- one GPU, one node ----

  struct Pair {
    const Device& device;
    NodeId node;
    std::unique_ptr<PinnedMemory> host;   ///< two parts: to the GPU, from it
    std::unique_ptr<DeviceMemory> memory;  ///< likewise
    std::unique_ptr<Lane> lane, other;
    std::uint64_t bytes;
    GpuAddress host_out() const { return host->at; }
    GpuAddress host_in() const { return host->at + bytes; }
    GpuAddress gpu_in() const { return memory->at; }
    GpuAddress gpu_out() const { return memory->at + bytes; }
  };

  Result<Pair> make_pair(const Device& d, NodeId node) {
    NUMAPIN_CHECK_OK(r_.use(d.ordinal));
    const auto bytes = copy_bytes(node);
    NUMAPIN_TRY(auto host, PinnedMemory::make(r_, node, 2 * bytes));
    NUMAPIN_TRY(auto memory, DeviceMemory::make(r_, d.ordinal, 2 * bytes));
    NUMAPIN_TRY(auto lane, Lane::make(r_, d.ordinal));
    NUMAPIN_TRY(auto other, Lane::make(r_, d.ordinal));
    return Pair{d, node, std::move(host), std::move(memory), std::move(lane), std::move(other), bytes};
  }

  /// Within what the node has free; whole MiB.
  std::uint64_t copy_bytes(NodeId node) const {
    auto bytes = o_.quick ? o_.copy_bytes / 2 : o_.copy_bytes;
    if (const auto* n = find_node(s_.machine, node); n && n->memory_free_bytes) bytes = std::min(bytes, *n->memory_free_bytes / 8);
    return std::max<std::uint64_t>(bytes >> 20, 1) << 20;
  }
  int times() const { return 4; }

  /// The thread that queues the copies stands on a CPU of the memory's node, where that has one.
  void choose_cpu(NodeId node) {
    on_cpu_.reset();
    cpu_.reset();
    const auto cpus = cpus_to_measure(s_, node);
    if (cpus.empty()) return;
    on_cpu_ = std::make_unique<OnCpu>(cpus.front());
    if (on_cpu_->ok()) cpu_ = cpus.front(), cpu_node_ = node;
  }

  void measure_pair(const Device& d, NodeId node) {
    choose_cpu(node);
    const auto label = fmt::format("GPU {} and memory of node {}", d.gpu->index, number(node));
    step("prepare " + label);
    auto pair = make_pair(d, node);
    if (!pair) {
      hand_out(of_pair(Metric::kHostToDevice, d, node), Unexpected(pair.error()));
      done_ += 7;
      return;
    }
    step("check data: " + label);
    if (auto same = check_data(*pair); !same) {
      hand_out(of_pair(Metric::kHostToDevice, d, node), Unexpected(same.error()));
      done_ += 6;
      return;
    }
    step("copies: " + label);
    measure_copies(*pair);
    step("kernels: " + label);
    measure_kernels(*pair);
    step("latency: " + label);
    measure_latency(*pair);
    step("pageable: " + label);
    measure_pageable(*pair);
    step("small copies: " + label);
    if (!o_.quick) measure_small(*pair);
    done_ += 1;
  }

  /// A pattern goes to the GPU and comes back: a figure for copies that lose data is worth nothing.
  Result<void> check_data(Pair& p) {
    auto* words = reinterpret_cast<std::uint64_t*>(p.host->buffer.data());
    const auto n = p.bytes / 8;
    for (std::uint64_t i = 0; i < n; ++i) words[i] = i * 0x9e3779b97f4a7c15 + 1;
    NUMAPIN_CHECK_OK(r_.use(p.device.ordinal));
    NUMAPIN_CHECK_OK(r_.copy(p.gpu_in(), p.host_out(), p.bytes, p.lane->stream));
    NUMAPIN_CHECK_OK(r_.copy(p.host_in(), p.gpu_in(), p.bytes, p.lane->stream));
    NUMAPIN_CHECK_OK(r_.synchronize(p.lane->stream));
    if (std::memcmp(words, words + n, p.bytes) == 0) return {};
    return fail(Error::Kind::kSystem, fmt::format("copy to GPU {} and back: the data came back changed", p.device.gpu->index));
  }

  Work copies(Lane& lane, GpuAddress to, GpuAddress from, std::uint64_t bytes) {
    return {&lane, bytes, [this, to, from, bytes](GpuStream stream, int n) -> Result<void> {
              for (int i = 0; i < n; ++i) NUMAPIN_CHECK_OK(r_.copy(to, from, bytes, stream));
              return {};
            }};
  }

  /// Takes the samples of one lane, or the sums over lanes, into `m`.
  Result<void> sample(Measurement& m, const std::vector<Work>& works) {
    NUMAPIN_TRY(const auto rates, time_lanes(works, times()));
    m.bytes = works.front().bytes;
    m.samples.assign(rates.front().size(), 0);
    for (const auto& lane : rates)
      for (std::size_t i = 0; i < lane.size(); ++i) m.samples[i] += lane[i];
    return {};
  }

  void put_ceiling(Measurement& m, const std::optional<Ceiling>& ceiling, double ways = 1) {
    if (!ceiling) return;
    m.ceiling = ceiling->gb_per_s * ways;
    m.ceiling_from = ceiling->from + (ways > 1 ? ", both ways" : "");
  }

  void measure_copies(Pair& p) {
    const auto down = copies(*p.lane, p.gpu_in(), p.host_out(), p.bytes);
    const auto up = copies(*p.other, p.host_in(), p.gpu_out(), p.bytes);
    const struct {
      Metric metric;
      std::vector<Work> works;
    } tests[] = {{Metric::kHostToDevice, {down}}, {Metric::kDeviceToHost, {up}}, {Metric::kBidirectional, {down, up}}};
    for (const auto& test : tests) {
      auto m = of_pair(test.metric, p.device, p.node);
      m.page_bytes = p.host->buffer.page_bytes();
      m.how = "copy engine";
      auto done = sample(m, test.works);
      if (done) put_ceiling(m, ceiling_under_load(p.device), static_cast<double>(test.works.size()));
      hand_out(std::move(m), std::move(done));
    }
  }

  /// Right after copies, while the link still runs at its speed; once a GPU.
  std::optional<Ceiling> ceiling_under_load(const Device& d) {
    const auto known = ceilings_.find(d.gpu->index);
    if (known != ceilings_.end()) return known->second;
    const auto now = look_again_ ? look_again_() : s_.machine;
    const auto* gpu = d.gpu->address ? find_gpu(now, *d.gpu->address) : nullptr;
    return ceilings_[d.gpu->index] = host_ceiling(now, gpu ? *gpu : *d.gpu);
  }

  void measure_kernels(Pair& p) {
    const struct {
      Metric metric;
      GpuAddress to, from;
    } tests[] = {{Metric::kSmHostToDevice, p.gpu_in(), p.host_out()}, {Metric::kSmDeviceToHost, p.host_in(), p.gpu_out()}};
    const auto bytes = p.bytes / copy_step(p.device.blocks) * copy_step(p.device.blocks);
    for (const auto& test : tests) {
      auto m = of_pair(test.metric, p.device, p.node);
      m.how = "kernel";
      if (!r_.has_kernels() || bytes == 0) {
        m.skipped = bytes == 0 ? "the buffer is too small for this GPU's threads" : r_.why_no_kernels();
        take_(std::move(m));
        continue;
      }
      const Work work{p.lane.get(), bytes, [&](GpuStream stream, int n) {
                        return r_.kernel_copy(test.to, test.from, bytes, n, p.device.blocks, stream);
                      }};
      auto done = sample(m, {work});
      if (done) put_ceiling(m, ceiling_under_load(p.device));
      hand_out(std::move(m), std::move(done));
    }
  }

  /// ns a load: the mean over blocks, as the way from a multiprocessor to the link differs.
  Result<double> chase_once(Lane& lane, const Device& d, GpuAddress from, GpuAddress end, int loads) {
    const int stride = o_.quick ? std::max(1, d.blocks / 8) : std::max(1, d.blocks / 32);
    double sum = 0;
    int blocks = 0;
    for (int block = 0; block < d.blocks; block += stride, ++blocks) {
      const Work work{&lane, 0, [&](GpuStream stream, int) { return r_.kernel_chase(from, loads, block, d.blocks, end, stream); }};
      NUMAPIN_TRY(const auto ms, time_once({work}, 1));
      sum += ms.front() * 1e6 / loads;
    }
    return sum / blocks;
  }

  Result<void> sample_chase(Measurement& m, Lane& lane, const Device& d, GpuAddress from, GpuAddress end) {
    constexpr int kLoads = 2000;
    m.bytes = kChaseBytes;
    for (int i = 0; i < plan_.samples; ++i) {
      NUMAPIN_TRY(const double ns, chase_once(lane, d, from, end, kLoads));
      m.samples.push_back(ns);
    }
    return {};
  }

  void measure_latency(Pair& p) {
    auto m = of_pair(Metric::kGpuReadsHost, p.device, p.node);
    m.how = "kernel";
    m.page_bytes = p.host->buffer.page_bytes();
    if (!r_.has_kernels() || p.bytes < kChaseBytes) {
      m.skipped = r_.has_kernels() ? "the buffer is too small" : r_.why_no_kernels();
      return take_(std::move(m));
    }
    make_gpu_chase(p.host->buffer.data(), p.host->at);
    auto done = sample_chase(m, *p.lane, p.device, p.host->at, p.gpu_in());
    hand_out(std::move(m), std::move(done));
  }

  /// A cycle of GPU addresses through every 128 bytes (the GPU's line) of the first kChaseBytes, in random order.
  static void make_gpu_chase(char* data, GpuAddress base) {
    constexpr std::uint64_t kGpuLine = 128;
    std::vector<char> model(kChaseBytes / kGpuLine * kLine + kLine);
    char* first = model.data() + (kLine - reinterpret_cast<std::uintptr_t>(model.data()) % kLine) % kLine;
    make_chase(first, kChaseBytes / kGpuLine * kLine);
    for (std::uint64_t i = 0; i < kChaseBytes / kGpuLine; ++i) {
      const auto next = static_cast<std::uint64_t>(*reinterpret_cast<char**>(first + i * kLine) - first) / kLine;
      const GpuAddress value = base + next * kGpuLine;
      std::memcpy(data + i * kGpuLine, &value, sizeof value);
    }
  }

  void measure_pageable(Pair& p) {
    auto pageable = NodeBuffer::make(p.node, p.bytes, NodeBuffer::Pages::kBase);
    for (const Metric metric : {Metric::kPageableHostToDevice, Metric::kPageableDeviceToHost}) {
      auto m = of_pair(metric, p.device, p.node);
      m.how = "copy engine through the driver's buffer";
      if (!pageable) {
        hand_out(std::move(m), Unexpected(pageable.error()));
        continue;
      }
      m.page_bytes = pageable->page_bytes();
      m.bytes = p.bytes;
      const auto host = reinterpret_cast<GpuAddress>(pageable->data());
      auto done = metric == Metric::kPageableHostToDevice ? sample_by_clock(m, p, p.gpu_in(), host, p.bytes)
                                                          : sample_by_clock(m, p, host, p.gpu_out(), p.bytes);
      for (auto& sample : m.samples) sample = static_cast<double>(p.bytes) / sample;  // bytes a ns are GB a second
      hand_out(std::move(m), std::move(done));
    }
  }

  /// ns from the call to its end, as the CPU sees it: the driver's own work counts.
  Result<void> sample_by_clock(Measurement& m, Pair& p, GpuAddress to, GpuAddress from, std::uint64_t bytes) {
    const int samples = bytes > kSmallCopies[std::size(kSmallCopies) - 1] ? plan_.samples : 25;
    NUMAPIN_CHECK_OK(r_.use(p.device.ordinal));
    for (int i = 0; i < samples + 2; ++i) {
      const double start = now_seconds();
      NUMAPIN_CHECK_OK(r_.copy(to, from, bytes, p.lane->stream));
      NUMAPIN_CHECK_OK(r_.synchronize(p.lane->stream));
      if (i >= 2) m.samples.push_back((now_seconds() - start) * 1e9);
    }
    return {};
  }

  void measure_small(Pair& p) {
    for (const auto bytes : kSmallCopies)
      for (const Metric metric : {Metric::kSmallHostToDevice, Metric::kSmallDeviceToHost}) {
        auto m = of_pair(metric, p.device, p.node);
        m.bytes = bytes;
        m.how = "copy engine";
        auto done = metric == Metric::kSmallHostToDevice ? sample_by_clock(m, p, p.gpu_in(), p.host_out(), bytes)
                                                         : sample_by_clock(m, p, p.host_in(), p.gpu_out(), bytes);
        hand_out(std::move(m), std::move(done));
      }
  }

  // ---- all GPUs at once ----

  /// Where GPU memory traffic of `d` goes in round `shift`: its own node in round 0, then the nodes after it.
  NodeId node_of_round(const Device& d, int shift) const {
    const std::vector<NodeId> list(nodes_.begin(), nodes_.end());
    int at = 0;
    if (d.gpu->numa_nodes && !d.gpu->numa_nodes->empty()) {
      const auto found = std::find(list.begin(), list.end(), d.gpu->numa_nodes->first());
      if (found != list.end()) at = static_cast<int>(found - list.begin());
    }
    return list[static_cast<std::size_t>(at + shift) % list.size()];
  }

  void measure_together() {
    std::map<NodeSet, std::vector<const Device*>, std::less<>> by_node;
    std::vector<const Device*> all;
    for (const auto& d : devices_) {
      all.push_back(&d);
      by_node[d.gpu->numa_nodes.value_or(NodeSet{})].push_back(&d);
    }
    for (int shift = 0; shift < nodes_.size(); ++shift) {
      step("all GPUs at once");
      for (const auto& [near, group] : by_node)
        if (group.size() > 1 && group.size() < all.size()) measure_group(group, shift, Together::kGpusOfNode);
      measure_group(all, shift, Together::kAllGpus);
    }
  }

  void measure_group(const std::vector<const Device*>& group, int shift, Together together) {
    for (const Metric metric : {Metric::kHostToDevice, Metric::kDeviceToHost}) {
      std::vector<std::vector<double>> rates;
      std::uint64_t bytes = 0;
      auto done = time_group(group, shift, metric, rates, bytes);
      for (std::size_t i = 0; i < group.size(); ++i) {
        auto m = of_pair(metric, *group[i], node_of_round(*group[i], shift));
        m.together = together;
        m.how = "copy engine";
        m.bytes = bytes;
        if (done) m.samples = rates[i];
        if (done) put_ceiling(m, ceiling_under_load(*group[i]));
        hand_out(std::move(m), done);
      }
    }
  }

  Result<void> time_group(const std::vector<const Device*>& group, int shift, Metric metric, std::vector<std::vector<double>>& rates,
                          std::uint64_t& bytes) {
    bytes = o_.copy_bytes;
    for (const auto* d : group) bytes = std::min(bytes, copy_bytes(node_of_round(*d, shift)) / group.size() >> 20 << 20);
    bytes = std::max<std::uint64_t>(bytes, 1 << 20);
    std::vector<std::unique_ptr<PinnedMemory>> hosts;
    std::vector<std::unique_ptr<DeviceMemory>> memories;
    std::vector<std::unique_ptr<Lane>> lanes;
    std::vector<Work> works;
    for (const auto* d : group) {
      NUMAPIN_CHECK_OK(r_.use(d->ordinal));
      NUMAPIN_TRY(auto host, PinnedMemory::make(r_, node_of_round(*d, shift), bytes));
      NUMAPIN_TRY(auto memory, DeviceMemory::make(r_, d->ordinal, bytes));
      NUMAPIN_TRY(auto lane, Lane::make(r_, d->ordinal));
      works.push_back(metric == Metric::kHostToDevice ? copies(*lane, memory->at, host->at, bytes)
                                                      : copies(*lane, host->at, memory->at, bytes));
      hosts.push_back(std::move(host));
      memories.push_back(std::move(memory));
      lanes.push_back(std::move(lane));
    }
    // Small buffers: more of them, so that all lanes overlap for most of the time.
    NUMAPIN_TRY(rates, time_lanes(works, static_cast<int>(4 * o_.copy_bytes / bytes)));
    return {};
  }

  // ---- GPU and GPU ----

  Measurement of_peers(Metric metric, const Device& a, const Device& b, std::optional<bool> access, Together together) const {
    Measurement m;
    m.metric = metric;
    m.gpu = a.gpu->index;
    m.peer_gpu = b.gpu->index;
    m.peer_access = access;
    m.together = together;
    m.how = "copy engine";
    return m;
  }

  struct PeerMemory {
    std::map<int, std::unique_ptr<DeviceMemory>> memory;  ///< by GPU: two parts
    std::map<std::pair<int, int>, std::unique_ptr<Lane>> lanes;
  };

  void measure_peers() {
    PeerMemory peers;
    const auto bytes = o_.quick ? o_.copy_bytes / 2 : o_.copy_bytes;
    for (const auto& d : devices_) {
      auto memory = DeviceMemory::make(r_, d.ordinal, 2 * bytes);
      if (!memory) return hand_out(of_peers(Metric::kPeerWrite, d, d, std::nullopt, Together::kAlone), Unexpected(memory.error()));
      peers.memory[d.gpu->index] = std::move(*memory);
    }
    // Through the host first: once access is enabled there is no way back but a new context.
    for (const bool direct : {false, true})
      for (const auto& a : devices_)
        for (const auto& b : devices_)
          if (a.gpu != b.gpu) {
            step(fmt::format("GPU {} and GPU {}{}", a.gpu->index, b.gpu->index, direct ? "" : ", through the host"));
            measure_peer(a, b, direct, bytes, peers);
          }
    if (direct_.empty()) return;
    measure_ring(bytes, peers);
    measure_all_pairs(bytes, peers);
  }

  Result<Lane*> lane_of(const Device& a, const Device& b, PeerMemory& peers) {
    auto& lane = peers.lanes[{a.gpu->index, b.gpu->index}];
    if (!lane) {
      NUMAPIN_TRY(lane, Lane::make(r_, a.ordinal));
    }
    return lane.get();
  }

  /// Both ways at once: the figure of both directions needs them.
  Result<void> open_both_ways(const Device& a, const Device& b) {
    NUMAPIN_CHECK_OK(open_way(a, b));
    return open_way(b, a);
  }
  Result<void> open_way(const Device& a, const Device& b) {
    NUMAPIN_TRY(const bool can, r_.can_reach(a.ordinal, b.ordinal));
    if (!can) return fail(Error::Kind::kUnsupported, "the driver allows no peer access between them");
    NUMAPIN_CHECK_OK(r_.use(a.ordinal));
    NUMAPIN_CHECK_OK(r_.reach(b.ordinal));
    direct_.insert({a.gpu->index, b.gpu->index});
    return {};
  }

  void measure_peer(const Device& a, const Device& b, bool direct, std::uint64_t bytes, PeerMemory& peers) {
    Result<void> ready;
    if (direct) ready = open_both_ways(a, b);
    const GpuAddress mine = peers.memory[a.gpu->index]->at, theirs = peers.memory[b.gpu->index]->at;
    const auto one = [&](Metric metric, const auto& works_of) {
      auto m = of_peers(metric, a, b, direct, Together::kAlone);
      Result<void> done = ready;
      if (done) done = [&]() -> Result<void> {
        NUMAPIN_TRY(const auto works, works_of());
        NUMAPIN_CHECK_OK(sample(m, works));
        if (direct) put_ceiling(m, peer_ceiling(s_.machine, a.gpu->index, b.gpu->index), static_cast<double>(works.size()));
        return {};
      }();
      hand_out(std::move(m), std::move(done));
    };
    using Works = Result<std::vector<Work>>;
    one(Metric::kPeerRead, [&]() -> Works {
      NUMAPIN_TRY(auto* lane, lane_of(a, b, peers));
      return std::vector<Work>{copies(*lane, mine, theirs + bytes, bytes)};
    });
    one(Metric::kPeerWrite, [&]() -> Works {
      NUMAPIN_TRY(auto* lane, lane_of(a, b, peers));
      return std::vector<Work>{copies(*lane, theirs, mine + bytes, bytes)};
    });
    if (a.gpu->index > b.gpu->index) return;  // both ways is one figure for the two
    one(Metric::kPeerBidirectional, [&]() -> Works {
      NUMAPIN_TRY(auto* there, lane_of(a, b, peers));
      NUMAPIN_TRY(auto* back, lane_of(b, a, peers));
      return std::vector<Work>{copies(*there, theirs, mine + bytes, bytes), copies(*back, mine, theirs + bytes, bytes)};
    });
    if (direct && ready && r_.has_kernels()) measure_peer_latency(a, b, theirs, mine, peers);
  }

  void measure_peer_latency(const Device& a, const Device& b, GpuAddress theirs, GpuAddress mine, PeerMemory& peers) {
    auto m = of_peers(Metric::kPeerLatency, a, b, true, Together::kAlone);
    m.how = "kernel";
    auto done = [&]() -> Result<void> {
      std::vector<char> cycle(kChaseBytes);
      make_gpu_chase(cycle.data(), theirs);
      NUMAPIN_TRY(auto* lane, lane_of(a, b, peers));
      NUMAPIN_CHECK_OK(r_.use(a.ordinal));
      NUMAPIN_CHECK_OK(r_.copy(theirs, reinterpret_cast<GpuAddress>(cycle.data()), kChaseBytes, lane->stream));
      NUMAPIN_CHECK_OK(r_.synchronize(lane->stream));
      return sample_chase(m, *lane, a, theirs, mine);
    }();
    hand_out(std::move(m), std::move(done));
  }

  /// Each writes to the next at the same time; only where every step of the ring is direct.
  void measure_ring(std::uint64_t bytes, PeerMemory& peers) {
    std::vector<std::pair<const Device*, const Device*>> steps;
    for (std::size_t i = 0; i < devices_.size(); ++i) steps.emplace_back(&devices_[i], &devices_[(i + 1) % devices_.size()]);
    measure_crowd(steps, Together::kRing, bytes, peers);
  }
  void measure_all_pairs(std::uint64_t bytes, PeerMemory& peers) {
    std::vector<std::pair<const Device*, const Device*>> steps;
    for (const auto& a : devices_)
      for (const auto& b : devices_)
        if (a.gpu != b.gpu) steps.emplace_back(&a, &b);
    measure_crowd(steps, Together::kAllPairs, bytes, peers);
  }

  void measure_crowd(const std::vector<std::pair<const Device*, const Device*>>& steps, Together together, std::uint64_t bytes,
                     PeerMemory& peers) {
    for (const auto& [a, b] : steps)
      if (!direct_.contains({a->gpu->index, b->gpu->index})) return;
    std::vector<std::vector<double>> rates;
    const auto part = bytes / devices_.size() >> 20 << 20;  // each pair its own part of the target
    auto done = [&]() -> Result<void> {
      std::vector<Work> works;
      for (const auto& [a, b] : steps) {
        NUMAPIN_TRY(auto* lane, lane_of(*a, *b, peers));
        const auto to = peers.memory[b->gpu->index]->at + part * static_cast<std::uint64_t>(a - devices_.data());
        const auto from = peers.memory[a->gpu->index]->at + bytes;
        works.push_back(copies(*lane, to, from, part));
      }
      NUMAPIN_TRY(rates, time_lanes(works, 8));
      return {};
    }();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      auto m = of_peers(Metric::kPeerWrite, *steps[i].first, *steps[i].second, true, together);
      m.bytes = part;
      if (done) m.samples = rates[i];
      hand_out(std::move(m), done);
    }
  }

  const System& s_;
  GpuRuntime& r_;
  const GpuBench& o_;
  const LookAgain& look_again_;
  const BenchProgress& progress_;
  const TakeMeasurement& take_;
  const SamplePlan plan_;
  NodeSet nodes_;
  std::vector<Device> devices_;
  std::unique_ptr<PinnedMemory> latch_memory_;
  std::unique_ptr<OnCpu> on_cpu_;
  std::optional<CpuId> cpu_;
  NodeId cpu_node_{};
  std::map<int, std::optional<Ceiling>> ceilings_;
  std::set<std::pair<int, int>> direct_;
  std::optional<Error> first_failure_;
  int figures_ = 0;
  double steps_ = 1, done_ = 0;
};

}  // namespace

Result<void> bench_gpu(const System& s, GpuRuntime& runtime, const GpuBench& options, const LookAgain& look_again,
                       const BenchProgress& progress, const TakeMeasurement& take) {
  return GpuRun(s, runtime, options, look_again, progress, take).run();
}

}  // namespace numapin
