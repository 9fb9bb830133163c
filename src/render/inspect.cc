#include "render/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "render/layout.h"

namespace numapin {
namespace {

std::string_view mark(PlacementState s, const TextStyle& style) {
  switch (s) {
    case PlacementState::kOk:
    case PlacementState::kOneNode: return style.unicode ? "✓" : "ok";
    case PlacementState::kWrong: return style.unicode ? "✗" : "!!";
    case PlacementState::kLoose: return style.unicode ? "!" : "! ";
    case PlacementState::kUnknown: return style.unicode ? "?" : "? ";
  }
  return "?";
}

std::string colored(std::string_view text, PlacementState s, const TextStyle& style) {
  if (!style.color) return std::string(text);
  const char* code = s == PlacementState::kWrong                                        ? "31"
                     : s == PlacementState::kLoose || s == PlacementState::kUnknown ? "33"
                                                                                     : "32";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

/// What a process holds open is in "fd" of /proc; hidden, no GPU found is not no GPU.
std::string no_gpu_words(const Machine& m, const ProcessInfo& p) {
  const bool hidden = std::any_of(p.denied.begin(), p.denied.end(), [](const std::string& d) { return d.starts_with("fd:"); });
  return hidden && !m.gpus.empty() ? "none known: its open files are hidden from this user" : "no GPU";
}

std::string gpu_words(const Machine& m, const std::vector<int>& gpus) {
  std::string out;
  for (const int index : gpus) {
    const auto gpu = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
    out += fmt::format("{}GPU {}", out.empty() ? "" : ", ", index);
    if (gpu == m.gpus.end()) continue;
    if (gpu->address) out += fmt::format(" {}", gpu->address->to_string());
    out += gpu->numa_nodes ? fmt::format(" (node {})", gpu->numa_nodes->to_list()) : " (node unknown)";
  }
  return out;
}

std::string node_list(const Machine& m, const CpuSet& cpus) {
  NodeSet nodes;
  for (const auto& n : m.nodes)
    if (n.cpus && n.cpus->intersects(cpus)) nodes.insert(n.id);
  return nodes.empty() ? "no known node" : fmt::format("node{} {}", nodes.size() > 1 ? "s" : "", nodes.to_list());
}

/// Threads with the same mask share a line: "11 threads on 0-11,24-35 (node 0)".
std::vector<std::string> mask_lines(const Machine& m, const ProcessInfo& p) {
  std::map<CpuSet, int> masks;
  for (const auto& t : p.threads) ++masks[t.allowed_cpus];
  std::vector<std::string> out;
  const CpuSet online = online_cpus(m);
  for (const auto& [cpus, count] : masks) {
    const CpuSet usable = online.empty() ? cpus : cpus & online;
    out.push_back(fmt::format("{} thread{} on {} ({})", count, count == 1 ? "" : "s", short_list(usable), node_list(m, usable)));
  }
  return out;
}

std::string memory_line(const ProcessMemory& memory) {
  const NodeBytes own = memory.own();
  const auto total = total_bytes(own);
  std::string out = fmt::format("{} own", size_text(total));
  for (const auto& [node, bytes] : own) {
    if (bytes == 0) continue;
    out += fmt::format(", {} on node {} ({:.0f} %", size_text(bytes), node,
                       100.0 * static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(total, 1)));
    if (const auto bounds = memory.sample_shares.find(node); bounds != memory.sample_shares.end())
      out += fmt::format(", surely {:.1f} to {:.1f}", std::floor(1000 * bounds->second.first) / 10, std::ceil(1000 * bounds->second.second) / 10);
    out += ")";
  }
  if (memory.sample_pages > 0) out += fmt::format("; estimated from {} pages (95 %)", memory.sample_pages);
  if (const auto file = total_bytes(memory.file); file > 0) out += fmt::format("; page cache of files {}", size_text(file));
  return out;
}

void add_threads(const ProcessInfo& p, const std::string& indent, std::string& out) {
  out += fmt::format("{}{:>8}  {:<15}  {:<5} {:>4} {:>10} {:>10} {:>10}  {}\n", indent, "TID", "NAME", "STATE", "CPU",
                     "VOLUNTARY", "FORCED", "MIGRATED", "ALLOWED");
  const auto number = [](const auto& v) { return v ? fmt::format("{}", *v) : std::string("-"); };
  for (const auto& t : p.threads)
    out += fmt::format("{}{:>8}  {:<15}  {:<5} {:>4} {:>10} {:>10} {:>10}  {}\n", indent, t.tid, clean(t.name), t.state,
                       number(t.last_cpu), number(t.voluntary_switches), number(t.involuntary_switches),
                       number(t.migrations), short_list(t.allowed_cpus));
}

void add_process(const Machine& m, const Inspection& i, const InspectStyle& style, std::string& out) {
  const auto& p = i.process;
  const std::string indent(static_cast<std::size_t>(i.depth) * 2, ' ');
  const auto command = clean(p.command.empty() ? "[" + p.name + "]" : p.command);
  const auto head = fmt::format("{}{} {:<7} ", indent, mark(i.verdict.state, style), p.pid);
  const auto room = static_cast<std::size_t>(std::max(style.width, 40)) - std::min<std::size_t>(columns(head), 30);
  out += colored(head, i.verdict.state, style) + (command.size() > room ? command.substr(0, room - 3) + "..." : command) + "\n";
  const std::string in = indent + "     ";
  out += in + colored(i.verdict.line, i.verdict.state, style) + "\n";
  if (!i.verdict.mend.empty()) out += in + "mend it:  " + i.verdict.mend + "\n";
  if (i.container) out += in + "in        " + clean(describe(*i.container)) + "\n";
  if (i.slurm) out += in + "in        " + clean(describe(*i.slurm)) + "\n";
  out += in + "gpus      " + (i.gpus.empty() ? no_gpu_words(m, p) : gpu_words(m, i.gpus)) + "\n";
  for (const auto& line : mask_lines(m, p)) out += in + "cpus      " + line + "\n";
  if (p.memory) {
    out += in + "memory    " + memory_line(*p.memory) + "\n";
    out += in + "policy    " + (p.memory->policy.empty() ? "unknown" : p.memory->policy);
    if (!p.memory->own_policy.empty()) out += fmt::format("; {} mapping(s) with another one", p.memory->own_policy.size());
    out += "\n";
    if (p.memory->locked_bytes + p.memory->pinned_bytes + p.memory->device_bytes > 0)
      out += fmt::format("{}unmovable locked {}, pinned {}, mapped by devices {}\n", in, size_text(p.memory->locked_bytes),
                         size_text(p.memory->pinned_bytes), size_text(p.memory->device_bytes));
  }
  for (const auto& d : p.denied) out += in + "denied    " + d + "\n";
  if (style.threads) add_threads(p, in, out);
}

}  // namespace

std::string inspect_text(const Machine& m, const std::vector<Inspection>& list, const InspectStyle& style) {
  std::string out;
  for (const auto& i : list) add_process(m, i, style, out);
  return out;
}

std::string taskset_text(const ProcessInfo& p) {
  const auto main = std::find_if(p.threads.begin(), p.threads.end(), [&](const auto& t) { return t.tid == p.pid; });
  return fmt::format("pid {}'s current affinity list: {}\n", p.pid,
                     main == p.threads.end() ? "" : main->allowed_cpus.to_list());
}

namespace {

constexpr double kMebibyte = 1 << 20;

std::string numastat_row(std::string_view label, const NodeBytes& bytes, const std::vector<int>& nodes) {
  std::string out = fmt::format("{:<16}", label);
  for (const int node : nodes) {
    const auto it = bytes.find(node);
    out += fmt::format(" {:>15.2f}", it == bytes.end() ? 0.0 : static_cast<double>(it->second) / kMebibyte);
  }
  return out + fmt::format(" {:>15.2f}\n", static_cast<double>(total_bytes(bytes)) / kMebibyte);
}

std::string numastat_rule(std::string_view first, std::size_t count) {
  std::string out = fmt::format("{:<16}", first);
  for (std::size_t i = 0; i < count; ++i) out += " " + std::string(15, '-');
  return out + "\n";
}

std::string numastat_header(const std::vector<int>& nodes) {
  std::string out(16, ' ');
  for (const int node : nodes) out += fmt::format(" {:>15}", fmt::format("Node {}", node));
  return out + fmt::format(" {:>15}\n", "Total");
}

}  // namespace

std::string numastat_text(const Machine& m, const std::vector<ProcessInfo>& list) {
  std::vector<int> nodes;
  for (const auto& n : m.nodes) nodes.push_back(number(n.id));
  std::string out;
  const auto blank = std::string(16, ' ');
  if (list.size() == 1) {
    const auto& p = list.front();
    const auto memory = p.memory.value_or(ProcessMemory{});
    out += fmt::format("\nPer-node process memory usage (in MBs) for PID {} ({})\n", p.pid, p.name);
    out += numastat_header(nodes) + numastat_rule(blank, nodes.size() + 1);
    out += numastat_row("Huge", memory.huge, nodes) + numastat_row("Heap", memory.heap, nodes);
    out += numastat_row("Stack", memory.stack, nodes) + numastat_row("Private", memory.private_, nodes);
    return out + numastat_rule(std::string(16, '-'), nodes.size() + 1) + numastat_row("Total", memory.total(), nodes);
  }
  out += "\nPer-node process memory usage (in MBs)\n";
  auto header = numastat_header(nodes);
  out += "PID" + header.substr(3) + numastat_rule(std::string(16, '-'), nodes.size() + 1);
  NodeBytes sum;
  for (const auto& p : list) {
    const auto total = p.memory ? p.memory->total() : NodeBytes{};
    add_bytes(sum, total);
    out += numastat_row(fmt::format("{} ({})", p.pid, p.name), total, nodes);
  }
  return out + numastat_rule(std::string(16, '-'), nodes.size() + 1) + numastat_row("Total", sum, nodes);
}

}  // namespace numapin
