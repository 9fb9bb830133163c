// NVIDIA GPUs from /proc/driver/nvidia: what the kernel driver says without its library.
#include <algorithm>

#include "base/text.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin::sources {
namespace {

const std::string kDriverDir = "/proc/driver/nvidia";
constexpr std::uint16_t kNvidia = 0x10de;

/// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun ...": the first word of digits and dots, at
/// least one of them.
std::optional<std::string> driver_version(std::string_view text) {
  const auto lines = split_lines(text);
  if (lines.empty()) return std::nullopt;
  for (const auto word : split_words(lines.front()))
    if (word.find_first_not_of("0123456789.") == word.npos && word.find('.') != word.npos) return std::string(word);
  return std::nullopt;
}

/// A GPU that the driver has but the PCI tree has not: sandboxes such as gVisor have no /sys/bus/pci.
Gpu& gpu_at(Machine& m, const PciAddress& address) {
  const auto at = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.address >= address; });
  if (at != m.gpus.end() && at->address == address) return *at;
  Gpu gpu;
  gpu.address = address;
  gpu.vendor = kNvidia;
  const auto added = m.gpus.insert(at, std::move(gpu));
  for (std::size_t i = 0; i < m.gpus.size(); ++i) m.gpus[i].index = static_cast<int>(i);
  return *added;
}

/// Lines "Model: NVIDIA A100", "GPU UUID: GPU-...", "Device Minor: 0". Until something has opened the GPU, its UUID
/// reads "GPU-????????-????-????-????-????????????".
void add_information(std::string_view text, Gpu& gpu) {
  if (const auto model = field(text, "Model"); model && !model->empty() && *model != "Unknown")
    gpu.model = {*model, Source::kProcDriver};
  if (const auto uuid = field(text, "GPU UUID"); uuid && uuid->starts_with("GPU-") && uuid->find('?') == uuid->npos)
    gpu.uuid = {*uuid, Source::kProcDriver};
  if (const auto text_minor = field(text, "Device Minor"))
    if (const auto n = parse_number<int>(*text_minor); n && *n >= 0) gpu.minor = {*n, Source::kProcDriver};
}

/// The node that is the GPU's own memory (POWER9, Grace Hopper). Absent, or "Node: -1", elsewhere.
void add_memory_node(std::string_view text, Machine& m, Gpu& gpu) {
  const auto value = field(text, "Node");
  const auto id = value ? parse_number<int>(*value) : std::nullopt;
  if (!id || *id < 0) return;
  const auto node = std::find_if(m.nodes.begin(), m.nodes.end(), [&](const NumaNode& n) { return number(n.id) == *id; });
  // offline: the driver keeps the memory to itself
  if (node == m.nodes.end() || !node->cpus || !node->cpus->empty()) return;
  gpu.memory_node = {node->id, Source::kProcDriver};
  node->kind = {MemoryKind::kGpu, Source::kProcDriver};
  node->gpu = {*gpu.address, Source::kProcDriver};
}

}  // namespace

void add_nvidia_information(const FileTree& tree, Gpu& gpu) {
  const auto text = tree.read(kDriverDir + "/gpus/" + gpu.address->to_string() + "/information");
  if (text) add_information(*text, gpu);
}

void add_nvidia_proc(const FileTree& tree, Machine& m) {
  const auto names = entries(tree, kDriverDir + "/gpus");
  if (names.empty()) return;
  if (const auto text = tree.read(kDriverDir + "/version"))
    if (auto version = driver_version(*text)) m.driver_version = {*version, Source::kProcDriver};
  for (const auto& name : names) {
    const auto address = PciAddress::parse(name);
    if (!address) continue;
    auto& gpu = gpu_at(m, *address);
    add_nvidia_information(tree, gpu);
    if (const auto text = tree.read(kDriverDir + "/gpus/" + name + "/numa_status")) add_memory_node(*text, m, gpu);
  }
}

}  // namespace numapin::sources
