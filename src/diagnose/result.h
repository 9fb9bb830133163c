// The few words every check needs: outcomes, and names of what a finding is about.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "numapin/doctor.h"

namespace numapin::doctor {

inline CheckResult fine(std::string line) { return {CheckResult::State::kFine, std::move(line), {}}; }
inline CheckResult unknown(std::string why) { return {CheckResult::State::kUnknown, std::move(why), {}}; }
inline CheckResult not_here(std::string why) { return {CheckResult::State::kNotHere, std::move(why), {}}; }
/// The findings, or `line` where there are none.
CheckResult settle(std::vector<Finding> findings, std::string line);

/// "node 0", "nodes 0-1"
std::string nodes_text(const NodeSet& nodes);
/// "GPU 0", "GPUs 0,2-3"
std::string gpus_text(const std::vector<int>& gpus);
/// "this shell", "process 4242 (python3)", "numactl -N 0 ./a"
std::string name_of(const Subject& s);
/// "2 GPUs", "1 GPU"
std::string count_text(std::size_t count, std::string_view thing);

/// "for i in 3 6 $(seq 14 15); do echo 1 >"/sys/devices/system/cpu/cpu$i/online"; done": to the file of each number.
std::string write_each(std::string_view value, const CpuSet& numbers, std::string_view before, std::string_view behind);
/// A command that cannot simply be pasted, as a comment: every line of it, for quoted values may have several.
std::string by_hand(std::string_view words, std::string_view command);

const Gpu* gpu_at(const Machine& m, int index);
/// The nodes of all the GPUs; nothing where one is unknown or there are none.
std::optional<NodeSet> near_nodes(const Machine& m, const std::vector<int>& gpus);
NodeSet nodes_of(const Machine& m, const CpuSet& cpus);
/// What every thread together may use, online.
CpuSet allowed_cpus(const Machine& m, const Subject& s);
/// Physical cores that the CPUs lie on.
int core_count(const Machine& m, const CpuSet& cpus);
/// Nothing to bind: at most one node with CPUs and one with memory.
bool has_one_node(const Machine& m);
/// The value of a variable; nothing where it is not set or the environment is unknown.
std::optional<std::string> variable(const Subject& s, const std::string& name);

/// "bind:0-1" of numa_maps: mode and nodes. Flags ("bind=static:0") are dropped.
struct PolicyWords {
  std::string mode;  ///< "default", "bind", "prefer", "prefer (many)", "interleave", "weighted interleave", "local"
  NodeSet nodes;
};
PolicyWords parse_policy(std::string_view text);
/// Of the subject; nothing where it cannot be read.
std::optional<PolicyWords> policy_of(const Subject& s);

constexpr std::uint16_t kNvidia = 0x10de, kAmd = 0x1002, kIntel = 0x8086;

std::span<const Check> topology_checks();
std::span<const Check> binding_checks();
std::span<const Check> kernel_checks();
std::span<const Check> pcie_checks();
std::span<const Check> software_checks();
std::span<const Check> framework_checks();

}  // namespace numapin::doctor
