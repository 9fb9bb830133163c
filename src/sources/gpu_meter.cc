#include "sources/gpu_meter.h"

#include <array>

namespace numapin {
namespace {

/// Nothing where the counter was set back. Of 32 bits it wraps, at 50 GB/s eleven times a second: then it is no use.
std::optional<double> rate(unsigned long long before, unsigned long long now, double seconds) {
  if (now < before || seconds <= 0) return std::nullopt;
  return static_cast<double>(now - before) / seconds;
}

}  // namespace

GpuMeter::GpuMeter(const Machine& m, const NvmlApi* nvml) : nvml_(nvml) {
  for (const auto& gpu : m.gpus) {
    if (nvml == nullptr || !gpu.nvml_index) continue;
    Meter meter;
    meter.now.index = gpu.index;
    if (nvml->device_by_index(static_cast<unsigned>(*gpu.nvml_index), &meter.device) == kNvmlSuccess) meters_.push_back(meter);
  }
}

/// False where the driver has no such counters.
bool GpuMeter::read_counters(Meter& m, double now_s) {
  if (nvml_->field_values == nullptr) return false;
  std::array<NvmlFieldValue, 2> values{};
  values[0].field = kNvmlPcieRxBytes;
  values[1].field = kNvmlPcieTxBytes;
  if (nvml_->field_values(m.device, static_cast<int>(values.size()), values.data()) != kNvmlSuccess) return false;
  const auto take = [&](const NvmlFieldValue& v, std::optional<unsigned long long>& last, std::optional<double>& out) {
    if (v.status != kNvmlSuccess || (v.type != kNvmlU64 && v.type != kNvmlULong)) return false;
    if (last) out = rate(*last, v.value.u64, now_s - m.time_s);
    last = v.value.u64;
    return true;
  };
  const bool whole = take(values[0], m.rx, m.now.rx_bytes_per_s) && take(values[1], m.tx, m.now.tx_bytes_per_s);
  m.time_s = now_s;
  return whole;
}

void GpuMeter::measure(Meter& m) {
  if (nvml_->pcie_throughput == nullptr) return;
  const auto read = [&](NvmlPcieCounter counter, std::optional<double>& out) {
    unsigned kilobyte = 0;
    if (nvml_->pcie_throughput(m.device, counter, &kilobyte) == kNvmlSuccess) out = kilobyte * 1e3;
    else out = std::nullopt;
  };
  read(kNvmlPcieRx, m.now.rx_bytes_per_s);
  read(kNvmlPcieTx, m.now.tx_bytes_per_s);
}

std::vector<GpuCounters> GpuMeter::look(double now_s) {
  std::vector<GpuCounters> out;
  for (std::size_t i = 0; i < meters_.size(); ++i) {
    auto& m = meters_[i];
    NvmlUtilization use{};
    m.now.busy_percent = std::nullopt;
    if (nvml_->utilization != nullptr && nvml_->utilization(m.device, &use) == kNvmlSuccess) m.now.busy_percent = static_cast<int>(use.gpu);
    if (m.counts) m.counts = read_counters(m, now_s);
    // Measuring sleeps 20 ms for each direction: one GPU a look, the others keep their last value.
    if (!m.counts && turn_ % meters_.size() == i) measure(m);
    out.push_back(m.now);
  }
  ++turn_;
  return out;
}

}  // namespace numapin
