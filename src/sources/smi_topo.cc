// The text of `nvidia-smi topo -m` (and -mp): GPUs, NICs, the links between them, and where each GPU is near to.
//
// The column to look at is "NUMA Affinity". The last column, "GPU NUMA ID", is the node that a GPU's own memory forms
// on coherent machines and "N/A" elsewhere; scripts that take the last column of the row bind to that.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/paste.h"
#include "sources/smi_table.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "nvidia-smi topo text";
constexpr Source kFrom = Source::kSmiTopo;
constexpr std::uint16_t kNvidia = 0x10de;
constexpr std::string_view kNotAvailable = "N/A";

/// A table inside a log's or a JSON string's quotes: "\tGPU0\tGPU1\n".
std::string unescape(std::string text) {
  if (text.find('\t') != text.npos || text.find("\\tGPU") == text.npos) return text;
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n');
    if (escape) out += text[++i] == 't' ? '\t' : '\n';
    else out += text[i];
  }
  return out;
}

/// "NIC0: mlx5_2" below the table.
std::map<std::string, std::string> read_nic_legend(std::string_view text) {
  std::map<std::string, std::string> names;
  for (auto line : split_lines(text)) {
    const auto words = split_words(unquote(line));
    if (words.size() == 2 && words[0].starts_with("NIC") && words[0].ends_with(':'))
      names.emplace(words[0].substr(0, words[0].size() - 1), words[1]);
  }
  return names;
}

/// Device names of the table's columns -> references into the machine.
using Refs = std::map<std::string, DeviceRef>;

Refs add_devices(Machine& m, const SmiTable& table, const std::map<std::string, std::string>& legend) {
  Refs refs;
  for (const auto& column : table.columns) {
    if (const auto n = gpu_number(column)) {
      Gpu gpu;
      gpu.index = static_cast<int>(m.gpus.size());
      gpu.name = column;
      gpu.vendor = kNvidia;
      gpu.nvml_index = {*n, kFrom};  // the tool counts as NVML does, and so in PCI order
      refs[column] = {DeviceRef::Type::kGpu, gpu.index};
      m.gpus.push_back(std::move(gpu));
      continue;
    }
    Nic nic;
    nic.index = static_cast<int>(m.nics.size());
    const auto named = legend.find(column);
    if (named != legend.end()) nic.name = named->second;
    else if (!column.starts_with("NIC")) nic.name = column;
    nic.infiniband = true;  // the tool lists RDMA devices only
    refs[column] = {DeviceRef::Type::kNic, nic.index};
    m.nics.push_back(std::move(nic));
  }
  return refs;
}

void add_links(Machine& m, const SmiTable& table, const Refs& refs) {
  LinkMap links;
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.links.size(); ++i) {
      auto link = row.links[i];
      link.source = kFrom;
      if (link.kind != LinkKind::kSelf) links[{refs.at(row.name), refs.at(table.columns[i])}] = link;
    }
  }
  set_links(m, std::move(links));
}

bool says_something(const std::optional<std::string>& cell) { return cell && !cell->empty() && *cell != kNotAvailable; }

void read_cpu_affinity(Machine& m, Gpu& gpu, const SmiRow& row) {
  if (!says_something(row.cpu)) return;
  if (const auto cpus = CpuSet::parse(*row.cpu)) gpu.local_cpus = {*cpus, kFrom};
  else m.notes.push_back(fmt::format("the CPU affinity of {} is not a list (line {})", row.name, row.line));
}

/// "N/A" means one node, or no information; several nodes ("0-1") mean that the driver does not know which: in both
/// cases the node is unknown.
void read_numa_affinity(Machine& m, Gpu& gpu, const SmiRow& row) {
  if (!says_something(row.numa)) return;
  const auto nodes = NodeSet::parse(*row.numa);
  if (!nodes) {
    m.notes.push_back(fmt::format("the NUMA affinity of {} is not a list (line {})", row.name, row.line));
  } else if (nodes->size() == 1) {
    gpu.numa_nodes = {*nodes, kFrom};
    node_of(m, nodes->first());
  } else {
    m.notes.push_back(fmt::format("the NUMA affinity of {} is {}: several nodes, so its own is unknown (line {})",
                                  row.name, nodes->to_list(), row.line));
  }
}

void read_gpu_numa_id(Machine& m, Gpu& gpu, const SmiRow& row) {
  if (!says_something(row.gpu_numa)) return;
  const auto id = parse_number<int>(*row.gpu_numa);
  if (!id || *id < 0 || *id >= kMaxIds) return;
  gpu.memory_node = {NodeId{*id}, kFrom};
  auto& node = node_of(m, NodeId{*id});
  node.kind = {MemoryKind::kGpu, kFrom};
  node.cpus = {CpuSet{}, kFrom};  // a GPU's memory has no CPUs
}

/// CPUs of a node: what all of its GPUs say, where they agree and no other node claims one of these CPUs.
void fill_node_cpus(Machine& m) {
  std::map<NodeId, std::optional<CpuSet>> said;
  for (const auto& gpu : m.gpus) {
    if (!gpu.numa_nodes || !gpu.local_cpus) continue;
    const auto [at, first] = said.try_emplace(gpu.numa_nodes->first(), *gpu.local_cpus);
    if (!first && at->second != *gpu.local_cpus) at->second.reset();
  }
  for (const auto& [id, cpus] : said) {
    const bool claimed = std::any_of(said.begin(), said.end(), [&, me = id, &mine = cpus](const auto& other) {
      return other.first != me && mine && other.second && mine->intersects(*other.second);
    });
    auto& node = node_of(m, id);
    if (cpus && !claimed && !node.cpus) node.cpus = {*cpus, kFrom};
  }
}

Machine machine_of(const SmiTable& table, const std::map<std::string, std::string>& legend) {
  Machine m;
  m.notes = table.notes;
  const auto refs = add_devices(m, table, legend);
  add_links(m, table, refs);
  for (const auto& row : table.rows) {
    const auto ref = refs.at(row.name);
    if (ref.type != DeviceRef::Type::kGpu || row.links.empty()) continue;
    auto& gpu = m.gpus[static_cast<std::size_t>(ref.index)];
    read_cpu_affinity(m, gpu, row);
    read_numa_affinity(m, gpu, row);
    read_gpu_numa_id(m, gpu, row);
  }
  fill_node_cpus(m);
  drop_repeated_names(m);
  return m;
}

/// Where a person would look first: the first line that mentions a GPU.
std::pair<int, int> first_gpu(std::string_view text) {
  int number = 0;
  for (auto line : split_lines(text)) {
    ++number;
    if (const auto at = line.find("GPU"); at != line.npos) return {number, static_cast<int>(at) + 1};
  }
  return {1, 1};
}

}  // namespace

Result<Machine> from_smi_topo(std::string_view text) {
  if (text.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  const auto clean = unescape(clean_paste(text));
  const auto tables = find_smi_tables(clean);
  if (tables.empty()) {
    const auto [line, column] = first_gpu(clean);
    return bad_text(kWhat, line, column, "no whole row of a topology table is in it",
                    "paste the output of nvidia-smi topo -m with its header line and at least one whole GPU row");
  }
  auto m = machine_of(tables.front(), read_nic_legend(clean));
  for (std::size_t i = 1; i < tables.size(); ++i)
    m.notes.push_back(fmt::format("the table of line {} is not read: only the first one is", tables[i].line));
  return m;
}

}  // namespace numapin
