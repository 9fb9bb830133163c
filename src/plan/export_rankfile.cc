// Rankfiles of Open MPI and PRRTE: "rank N=HOST slot=LIST", where LIST counts cores in hwloc's logical order (mpirun(1),
// "Rankfiles"; PRRTE docs, placement/rankfiles).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "plan/export.h"

namespace numapin {
namespace {

/// Cores in hwloc's logical order: by package, node and L3 group, each in the order of its first CPU.
std::vector<const Core*> logical_order(const Machine& m) {
  std::vector<std::pair<std::vector<int>, const Core*>> keyed;
  const auto first_of = [](const auto& groups, const CpuSet& cpus) {
    for (const auto& group : groups)
      if (group.cpus.intersects(cpus)) return number(group.cpus.first());
    return 0;
  };
  std::map<NodeId, int> node_first;
  for (const auto& node : m.nodes)
    if (node.cpus && !node.cpus->empty()) node_first[node.id] = number(node.cpus->first());
  for (const auto& core : m.cores)
    keyed.push_back({{first_of(m.packages, core.cpus), core.node ? node_first[*core.node] : 0, first_of(m.l3, core.cpus),
                      number(core.cpus.first())},
                     &core});
  std::sort(keyed.begin(), keyed.end());
  std::vector<const Core*> cores;
  for (const auto& [key, core] : keyed) cores.push_back(core);
  return cores;
}

Result<std::string> rank_lines(const ExportRequest& r) {
  const auto cores = logical_order(r.machine);
  if (cores.empty())
    return fail(Error::Kind::kUnsupported, "write a rankfile: no source tells the cores of this machine",
                "rankfiles count cores, not CPUs; use --format numactl");
  std::string text;
  for (std::size_t rank = 0; rank < r.plan.placements.size(); ++rank) {
    const auto& p = r.plan.placements[rank];
    detail::Bits slots;
    for (std::size_t i = 0; i < cores.size(); ++i)
      if (p.cpus.empty() || cores[i]->cpus.intersects(p.cpus)) slots.insert(static_cast<int>(i));
    text += fmt::format("rank {}={} slot={}\n", rank, r.hostname, slots.to_list());
  }
  return text;
}

Result<std::string> rankfile(const ExportRequest& r, std::string_view usage) {
  NUMAPIN_TRY(const auto lines, rank_lines(r));
  const auto count = r.plan.placements.size();
  std::string text = fmt::format("# mpirun -n {} {} {}\n", count, usage, command_words(r, "COMMAND"));
  text += "# a rankfile binds CPUs only: memory policy and visible GPUs need `numapin run` as the command's first word\n";
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("# {}\n", title_of(r.plan, i));
  return text + lines;
}

}  // namespace

Result<std::string> export_openmpi_rankfile(const ExportRequest& r) { return rankfile(r, "--rankfile THIS_FILE"); }

Result<std::string> export_prrte(const ExportRequest& r) { return rankfile(r, "--map-by rankfile:file=THIS_FILE"); }

}  // namespace numapin
