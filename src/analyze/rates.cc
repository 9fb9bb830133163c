#include "analyze/rates.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

// ---- CPUs ----------------------------------------------------------------------------------------------------------------
// One UPI or QPI link moves 2 bytes a transfer in each direction; reads of remote memory get 0.83 of that: Intel MLC
// shows 17.2 GB/s over one link at 10.4 GT/s (hyrise/hyrise#2094, four sockets) and 34.4 over two (cncf/cnf-testbed#129).
constexpr double kUpi = 2 * 0.83;
// AMD: 16 lanes a link; 0.75 of the raw rate is usable (AMD's article on MI300X xGMI, rocm.blogs.amd.com/
// software-tools-optimization/mi300x-rccl-xgmi: 48 of 64 GB/s, for CRC and protocol).
constexpr double kXgmi = 2 * 0.75;
// DDR: 8 bytes a transfer and channel; MLC reads 109.3 GB/s of 128 (hyrise/hyrise#2094).
constexpr double kDdr = 8 * 0.85 / 1000;

constexpr std::string_view kUpi2 = "2 UPI links at 10.4 GT/s, 0.83 of 2 bytes a transfer (hyrise#2094, cnf-testbed#129)";
constexpr std::string_view kUpi3 = "3 UPI links at 10.4 GT/s (boards may wire 2), 0.83 of 2 bytes a transfer (hyrise#2094)";
constexpr std::string_view kPeerSplit = "Intel CPUs cut peer-to-peer traffic into packets of 64 bytes: 6/5 of the bytes (NCCL src/graph/topo.h)";
constexpr std::string_view kOldQpi =
    "peer-to-peer over QPI: chipsets refuse or throttle it differently, and no figure holds for it; measure it";
constexpr std::string_view kQpiRemote =
    "device reading 3.78 and writing 2.54 GB/s of the other socket's memory, one published machine (gearshifft#82)";
constexpr std::string_view kRomePeer = "20 GB/s each way between two A40 on two sockets (nccl-tests#74, EPYC 7302)";

constexpr CpuRates intel(std::string_view name, double gt, int links, std::string_view because, double memory, std::string_view memory_because) {
  CpuRates r;
  r.name = name;
  r.interconnect = "UPI";
  r.interconnect_gb_per_s = gt * links * kUpi;
  r.interconnect_is_guess = links != 2;
  r.interconnect_because = because;
  r.memory_gb_per_s = memory * kDdr;
  r.memory_because = memory_because;
  r.peer_weight = 1.2;
  r.peer_weight_because = kPeerSplit;
  return r;
}

constexpr CpuRates qpi(std::string_view name, double gt, double memory, std::string_view memory_because) {
  CpuRates r;
  r.name = name;
  r.interconnect = "QPI";
  r.interconnect_gb_per_s = gt * 2 * kUpi;
  r.interconnect_is_guess = true;
  r.interconnect_because = "2 QPI links of this generation's fastest parts, 0.83 of 2 bytes a transfer";
  r.memory_gb_per_s = memory * kDdr;
  r.memory_because = memory_because;
  r.peer_weight = 1.2;
  r.peer_weight_because = kPeerSplit;
  r.remote_read = 3.78;
  r.remote_write = 2.54;
  r.remote_because = kQpiRemote;
  r.remote_peer_unknown = kOldQpi;
  return r;
}

constexpr CpuRates amd(std::string_view name, double gt, double memory, std::string_view memory_because) {
  CpuRates r;
  r.name = name;
  r.interconnect = "xGMI";
  r.interconnect_gb_per_s = gt * 3 * kXgmi;
  r.interconnect_is_guess = true;
  r.interconnect_because = "3 links of 16 lanes (boards wire 3 or 4), 0.75 of the raw rate (AMD on xGMI, MI300X)";
  r.memory_gb_per_s = memory * kDdr;
  r.memory_because = memory_because;
  return r;
}

constexpr CpuRates rome(std::string_view name) {
  auto r = amd(name, 18, 8 * 3200, "8 channels of DDR4-3200, if every one is filled, 0.85 of the peak");
  r.remote_peer = 20;
  r.remote_peer_because = kRomePeer;
  return r;
}

constexpr CpuRates kSandyBridge = qpi("Sandy Bridge", 8.0, 4 * 1600, "4 channels of DDR3-1600, if every one is filled, 0.85 of the peak");
constexpr CpuRates kIvyBridge = qpi("Ivy Bridge", 8.0, 4 * 1866, "4 channels of DDR3-1866, if every one is filled, 0.85 of the peak");
constexpr CpuRates kHaswell = qpi("Haswell", 9.6, 4 * 2133, "4 channels of DDR4-2133, if every one is filled, 0.85 of the peak");
constexpr CpuRates kBroadwell = qpi("Broadwell", 9.6, 4 * 2400, "4 channels of DDR4-2400, if every one is filled, 0.85 of the peak");
constexpr std::string_view kSkylakeMemory = "6 channels of DDR4-2666, if every one is filled, 0.85 of the peak";
constexpr CpuRates kSkylakeSmall = intel("Skylake", 10.4, 2, kUpi2, 6 * 2400, "6 channels of DDR4-2400, if every one is filled, 0.85 of the peak");
constexpr CpuRates kSkylake = intel("Skylake", 10.4, 3, kUpi3, 6 * 2666, kSkylakeMemory);
constexpr CpuRates kCascadeLakeSmall = intel("Cascade Lake", 10.4, 2, kUpi2, 6 * 2666, kSkylakeMemory);
constexpr CpuRates kCascadeLake = intel("Cascade Lake", 10.4, 3, kUpi3, 6 * 2933, "6 channels of DDR4-2933, if every one is filled, 0.85 of the peak");
constexpr CpuRates kIceLake =
    intel("Ice Lake", 11.2, 3, "3 UPI links at 11.2 GT/s (boards may wire 2), 0.83 of 2 bytes a transfer", 8 * 3200,
          "8 channels of DDR4-3200, if every one is filled, 0.85 of the peak");
constexpr CpuRates kSapphireRapids =
    intel("Sapphire Rapids", 16, 3, "3 UPI links at 16 GT/s (parts have 3 or 4), 0.83 of 2 bytes a transfer", 8 * 4800,
          "8 channels of DDR5-4800, if every one is filled, 0.85 of the peak");
constexpr CpuRates kEmeraldRapids =
    intel("Emerald Rapids", 20, 3, "3 UPI links at 20 GT/s (parts have 3 or 4), 0.83 of 2 bytes a transfer", 8 * 5600,
          "8 channels of DDR5-5600, if every one is filled, 0.85 of the peak");
constexpr CpuRates kGraniteRapids =
    intel("Granite Rapids", 24, 4, "4 UPI links at 24 GT/s (parts have 4 to 6), 0.83 of 2 bytes a transfer", 8 * 6400,
          "8 channels of DDR5-6400 (the largest parts have 12), if every one is filled, 0.85 of the peak");
constexpr CpuRates kNaples = amd("Naples", 10.7, 8 * 2666, "8 channels of DDR4-2666, if every one is filled, 0.85 of the peak");
constexpr CpuRates kRome = rome("Rome");
constexpr CpuRates kMilan = rome("Milan");
constexpr CpuRates kGenoa = amd("Genoa", 32, 12 * 4800, "12 channels of DDR5-4800, if every one is filled, 0.85 of the peak");
constexpr CpuRates kTurin = amd("Turin", 32, 12 * 6000, "12 channels of DDR5-6000, if every one is filled, 0.85 of the peak");

constexpr CpuRates grace() {
  CpuRates r;
  r.name = "Grace";
  r.interconnect = "NVLink-C2C between sockets";
  // H2D 133, D2H 132, STREAM 112-119 on two GH200 (dnhkng 2026-04); D2H 115-120 on GB200 (torchtitan#3489, #3519).
  r.interconnect_gb_per_s = 125;
  r.interconnect_is_guess = true;
  r.interconnect_because = "112 to 133 GB/s in published tests of two GH200 and of GB200 (dnhkng 2026-04; torchtitan#3489, #3519)";
  r.memory_gb_per_s = 380;
  r.memory_because = "LPDDR5X of the 480 GB parts: copies to the GPU get 377 to 380 (dnhkng 2026-04); 120 and 240 GB parts have more";
  return r;
}
constexpr CpuRates kGrace = grace();

constexpr CpuRates power9() {
  CpuRates r;
  r.name = "POWER9";
  r.interconnect = "X-bus";
  r.interconnect_gb_per_s = 32;
  r.interconnect_is_guess = true;
  r.interconnect_because = "what NCCL plans with for it (src/graph/topo.h)";
  r.memory_gb_per_s = 8 * 2666 * kDdr;
  r.memory_because = "8 channels of DDR4-2666, if every one is filled, 0.85 of the peak";
  return r;
}
constexpr CpuRates kPower9 = power9();

/// The first number of at least `digits` digits behind `word`, with the letters that follow: "8480c".
std::string_view number_after(std::string_view model, std::string_view word, std::size_t digits) {
  const auto at = model.find(word);
  if (at == model.npos) return {};
  for (const auto token : split_words(model.substr(at + word.size()))) {
    const auto count = token.find_first_not_of("0123456789");
    if (std::min(count, token.size()) >= digits) return token;
  }
  return {};
}

/// "gold 6148": the second digit is the generation, the first of Gold tells how many UPI links.
std::optional<CpuRates> scalable(std::string_view part) {
  if (part.size() < 4) return std::nullopt;
  const bool small = part[0] < '6';
  switch (part[1]) {
    case '1': return small ? kSkylakeSmall : kSkylake;
    case '2': return small ? kCascadeLakeSmall : kCascadeLake;
    case '3': return kIceLake;
    case '4': return kSapphireRapids;
    case '5': return kEmeraldRapids;
    default: return std::nullopt;
  }
}

std::optional<CpuRates> xeon_e5(std::string_view model) {
  if (model.find(" v4") != model.npos) return kBroadwell;
  if (model.find(" v3") != model.npos) return kHaswell;
  if (model.find(" v2") != model.npos) return kIvyBridge;
  return kSandyBridge;
}

std::optional<CpuRates> xeon(std::string_view model) {
  for (const std::string_view family : {"platinum", "gold", "silver", "bronze"})
    if (const auto part = number_after(model, family, 4); !part.empty()) return scalable(part);
  if (model.find("e5-2") != model.npos || model.find("e5-4") != model.npos) return xeon_e5(model);
  if (const auto part = number_after(model, "xeon(r)", 4); part.size() == 5 && part[0] == '6' && part[4] == 'p') return kGraniteRapids;
  return std::nullopt;
}

std::optional<CpuRates> epyc(std::string_view model) {
  const auto part = number_after(model, "epyc", 3);  // also "7v12", "9v33x" of clouds: digit, letter, two digits
  std::string_view name = part;
  if (name.empty()) {
    for (const auto token : split_words(model.substr(model.find("epyc") + 4)))
      if (token.size() >= 4 && (token[0] == '7' || token[0] == '9')) name = token;
  }
  if (name.size() < 4) return std::nullopt;
  switch (name[0] * 10 + (name[3] - '0')) {
    case '7' * 10 + 1: return kNaples;
    case '7' * 10 + 2: return kRome;
    case '7' * 10 + 3: return kMilan;
    case '9' * 10 + 4: return kGenoa;
    case '9' * 10 + 5: return kTurin;
    default: return std::nullopt;
  }
}

// ---- GPUs ----------------------------------------------------------------------------------------------------------------

constexpr PciLink kGen3{8.0, 16}, kGen4{16.0, 16}, kGen4x8{16.0, 8}, kGen5{32.0, 16};
constexpr std::string_view kV1 = "18.3 GB/s a link, of 20 (Dell on C4130: P100 peer-to-peer)";
constexpr std::string_view kV2 = "23.9 GB/s a link, of 25 (Dell on C4130: V100 peer-to-peer)";
constexpr std::string_view kV3 = "21.6 GB/s a link, of 25 (nccl-tests#100: A100 NVSwitch, 518 both ways)";
constexpr std::string_view kV3Small = "12.7 GB/s a link, of 14.06 (nccl-tests#74: A40 pairs, 101.6 both ways)";
constexpr std::string_view kV4 = "20.9 GB/s a link, of 25 (nccl#1264: H100 NVSwitch, 376 one way)";
constexpr std::string_view kV5 = "40.1 GB/s a link, of 50 (what NCCL plans with, src/graph/topo.h)";
constexpr std::string_view kGraceC2c = "377 to 380 GB/s to the GPU, 297 to 298 back, of 450 (dnhkng 2026-04, GH200)";
constexpr std::string_view kVegaXgmi = "35 GB/s a link, of 46 (legacy-rocm-build#2499: MI100, 70 both ways)";
constexpr std::string_view kMi200Xgmi = "36 GB/s a link, of 50 (what RCCL plans with, src/graph/topo.h)";
constexpr std::string_view kMi300Xgmi = "48 GB/s a link, of 64 (AMD on xGMI, MI300X; rocm.blogs.amd.com)";

constexpr GpuRates nvidia(std::string_view name, PciLink pcie, int links = 0, double rate = 0, std::string_view because = "") {
  GpuRates r;
  r.name = name;
  r.pcie = pcie;
  r.nvlinks = links;
  r.nvlink_gb_per_s = rate;
  r.nvlink_because = because;
  return r;
}
constexpr GpuRates grace_gpu(std::string_view name, double rate, std::string_view because) {
  auto r = nvidia(name, kGen5, 18, rate, because);
  r.c2c_to_gpu = 378;
  r.c2c_to_cpu = 298;
  r.c2c_because = kGraceC2c;
  return r;
}
constexpr GpuRates instinct(std::string_view name, PciLink pcie, double rate, std::string_view because) {
  GpuRates r;
  r.name = name;
  r.pcie = pcie;
  r.xgmi_gb_per_s = rate;
  r.xgmi_because = because;
  return r;
}

constexpr GpuRates apu(std::string_view name, double xgmi, std::string_view because) {
  auto r = instinct(name, kGen5, xgmi, because);
  r.shares_memory = true;
  return r;
}

/// The first of which every word is found counts: "H100 PCIe" before "H100". PCIe generations and NVLink counts:
/// the makers' data sheets.
constexpr std::array kGpus = {
    grace_gpu("GH200", 20.9, kV4), grace_gpu("GB200", 40.1, kV5), grace_gpu("GB300", 40.1, kV5),
    nvidia("H100 PCIe", kGen5, 12, 20.9, kV4), nvidia("H100 NVL", kGen5, 12, 20.9, kV4),
    nvidia("H200 NVL", kGen5, 18, 20.9, kV4), nvidia("H800", kGen5, 8, 20.0, "160 GB/s of 8 links (deepseek-ai/DeepSeek-V3#28)"),
    nvidia("H100", kGen5, 18, 20.9, kV4), nvidia("H200", kGen5, 18, 20.9, kV4), nvidia("H20", kGen5, 18, 20.9, kV4),
    nvidia("B300", kGen5, 18, 40.1, kV5), nvidia("B200", kGen5, 18, 40.1, kV5), nvidia("B100", kGen5, 18, 40.1, kV5),
    nvidia("A100", kGen4, 12, 21.6, kV3), nvidia("A800", kGen4, 8, 21.6, kV3), nvidia("A30", kGen4, 4, 21.6, kV3),
    nvidia("A6000", kGen4, 4, 12.7, kV3Small), nvidia("A5000", kGen4, 4, 12.7, kV3Small), nvidia("A40", kGen4, 4, 12.7, kV3Small),
    nvidia("RTX 3090", kGen4, 4, 12.7, kV3Small),
    nvidia("A10", kGen4), nvidia("A16", kGen4x8), nvidia("A2", kGen4x8), nvidia("L40", kGen4), nvidia("L20", kGen4), nvidia("L4", kGen4),
    nvidia("RTX 4090", kGen4), nvidia("RTX 5090", kGen5), nvidia("RTX PRO 6000", kGen5),
    nvidia("V100 PCIe", kGen3), nvidia("V100", kGen3, 6, 23.9, kV2), nvidia("TITAN V", kGen3),
    nvidia("P100 PCIe", kGen3), nvidia("P100", kGen3, 4, 18.3, kV1),
    nvidia("T4", kGen3), nvidia("P40", kGen3), nvidia("P4", kGen3),
    apu("MI300A", 48, kMi300Xgmi), apu("GB10", 0, ""), instinct("MI300", kGen5, 48, kMi300Xgmi), instinct("MI308", kGen5, 48, kMi300Xgmi),
    instinct("MI325", kGen5, 48, kMi300Xgmi), instinct("MI250", kGen4, 36, kMi200Xgmi), instinct("MI210", kGen4, 36, kMi200Xgmi),
    instinct("MI100", kGen4, 35, kVegaXgmi), instinct("MI50", kGen4, 35, kVegaXgmi), instinct("MI60", kGen4, 35, kVegaXgmi),
};

/// "A100-SXM4-40GB" -> a100, sxm4, 40gb
std::vector<std::string> name_words(std::string_view name) {
  auto text = to_lower(name);
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '-' || c == '/'; }, ' ');
  std::vector<std::string> words;
  for (const auto word : split_words(text)) words.emplace_back(word);
  return words;
}

/// A letter behind it is a variant (L40S, MI300X, A10G); a digit is another model (A4000 is no A40).
bool has_word(const std::vector<std::string>& words, const std::string& wanted) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    if (!word.starts_with(wanted)) return false;
    return word.size() == wanted.size() || (word.size() == wanted.size() + 1 && word.back() >= 'a' && word.back() <= 'z');
  });
}

std::optional<GpuRates> find_by_name(std::string_view name) {
  const auto words = name_words(name);
  for (const auto& row : kGpus) {
    const auto wanted = name_words(row.name);
    if (std::all_of(wanted.begin(), wanted.end(), [&](const auto& word) { return has_word(words, word); })) return row;
  }
  return std::nullopt;
}

}  // namespace

std::optional<CpuRates> find_cpu_rates(std::string_view model_name) {
  const auto model = to_lower(model_name);  // "INTEL(R) XEON(R) PLATINUM 8568Y+" since Emerald Rapids
  if (model.find("xeon") != model.npos) return xeon(model);
  if (model.find("epyc") != model.npos) return epyc(model);
  if (model.find("neoverse-v2") != model.npos || model.find("grace") != model.npos) return kGrace;
  if (model.find("power9") != model.npos) return kPower9;
  return std::nullopt;
}

std::optional<GpuRates> find_gpu_rates(const Gpu& gpu) {
  if (const auto name = device_name(gpu.vendor, gpu.device); !name.empty()) return find_by_name(name);
  return gpu.model ? find_by_name(*gpu.model) : std::nullopt;
}

}  // namespace numapin
