// What users and bench write down for analyze: flows, fabrics, measurements. Whatever is accepted gives finite answers that
// no link of the machine contradicts.
#include <fmt/format.h>

#include <cmath>

#include "fuzz/target.h"
#include "numapin/analyze.h"
#include "numapin/measured.h"
#include "numapin/sources.h"
#include "support/linked_machine.h"

namespace numapin::fuzz {
namespace {

const Machine& machine() {
  static const Machine m = open_machine("dgx-h100").value().machine;
  return m;
}
const LinkGraph& graph() {
  static const LinkGraph g = make_link_graph(machine());
  return g;
}

void demand_error(const Error& e) { demand(!e.message.empty(), "an error without a message"); }

/// What each flow gets is a number, and no link carries more than it can.
void demand_possible(const LinkGraph& g, const Traffic& t) {
  std::vector<double> load(g.channels.size(), 0);
  for (const auto& f : t.flows) {
    if (!f.gb_per_s) continue;
    demand(std::isfinite(*f.gb_per_s) && *f.gb_per_s > 0, "a flow gets no rate");
    if (f.flow.wanted_gb_per_s) demand(*f.gb_per_s <= *f.flow.wanted_gb_per_s * (1 + 1e-6), "a flow gets more than it asks for");
    demand(f.limited_by || !f.why.empty(), "a rate without a reason");
    const auto route = find_route(g, f.flow.from, f.flow.to);
    for (const auto& use : route.value().uses) load[use.channel] += *f.gb_per_s * static_cast<double>(use.weight);
  }
  for (std::size_t c = 0; c < load.size(); ++c)
    if (const auto most = g.channels[c].capacity.gb_per_s) demand(load[c] <= *most * (1 + 1e-5), g.channels[c].name + " carries more than it can");
}

void flows(std::string_view bytes) {
  const auto set = flows_from_json(bytes);
  if (!set) return demand_error(set.error());
  const auto traffic = run_traffic(graph(), *set);
  demand(traffic.flows.size() == set->flows.size(), "a flow is lost");
  demand_possible(graph(), traffic);
  demand(!advise(graph(), *set, traffic).sentence.empty(), "no advice");
}

void fabric(std::string_view bytes) {
  static const Machine m = test::rail_machine();
  static const LinkGraph g = make_link_graph(m);
  auto f = fabric_from_json(bytes);
  if (!f) return demand_error(f.error());
  f->machines = std::min(f->machines, 64);  // a run is to be quick; sizes are the benchmark's
  for (const bool aligned : {true, false}) {
    const auto t = run_fabric(m, g, *f, aligned);
    if (!t) {
      demand_error(t.error());
      continue;
    }
    demand(std::isfinite(t->slowest) && t->slowest > 0 && std::isfinite(t->total), "no finite rate");
    demand(!t->slowest_limited_by.empty() && !t->sentence.empty(), "a rate without a reason");
  }
}

void measured(std::string_view bytes) {
  const auto report = measured_from_json(bytes);
  if (!report) return demand_error(report.error());
  const auto again = measured_from_json(to_json(*report));
  demand(again.has_value(), "its JSON cannot be read: " + (again ? "" : again.error().message));
  demand(to_json(*again) == to_json(*report), "its JSON reads back otherwise");
  (void)mismatch(*report, machine());
  System system{machine(), {}, {}};
  apply_measured(*report, system);
  const auto broken = check(system.machine);
  demand(broken.empty(), broken.empty() ? "" : broken.front());
  const auto g = make_link_graph(system.machine, &*report);
  for (const auto& channel : g.channels)
    if (const auto rate = channel.capacity.gb_per_s) demand(std::isfinite(*rate) && *rate > 0, channel.name + " has no capacity");
  std::vector<int> gpus;
  for (const auto& gpu : machine().gpus) gpus.push_back(gpu.index);
  const auto set = flows_of(system.machine, g, Pattern::kLoad, gpus);
  demand_possible(g, run_traffic(g, set));
}

}  // namespace

std::vector<Target> analyze_targets() {
  return {{"flows", "flows of analyze --flows", flows},
          {"fabric", "fabrics of analyze --fabric", fabric},
          {"measured", "reports of bench --out", measured}};
}

}  // namespace numapin::fuzz
