// numapin analyze: which link limits what. Computes; touches nothing but the files it is given.
#include "cli/analyze.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/measured_file.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/text_file.h"
#include "numapin/analyze.h"
#include "numapin/visible.h"
#include "render/analyze.h"

namespace numapin::cli {
namespace {

struct AnalyzeOptions {
  std::string what = "paths", machine, measured, format = "text";
  std::string gpus, from, to;
  std::string pattern, bind = "local", flows, fabric, rings = "aligned";
  std::vector<std::string> what_if;
  int count = 0;
  bool json = false, all = false;
};

/// The machine with what is known of its rates.
struct Subject {
  System system;
  std::optional<Measured> measured;
  std::vector<int> gpus;

  const Machine& machine() const { return system.machine; }
  LinkGraph graph(const Machine& m) const { return make_link_graph(m, measured ? &*measured : nullptr); }
  LinkGraph graph() const { return graph(system.machine); }
  std::string hostname() const { return system.machine.hostname.value_or("this machine"); }
};

Result<Subject> open_subject(const Session& s, const AnalyzeOptions& o) {
  NUMAPIN_TRY(auto system, s.system(o.machine));
  NUMAPIN_TRY(auto measured, read_measured(o.measured, system));
  Subject subject{std::move(system), std::move(measured), {}};
  if (o.gpus.empty()) {
    for (const auto& gpu : subject.machine().gpus) subject.gpus.push_back(gpu.index);
    return subject;
  }
  NUMAPIN_TRY(const auto chosen, choose_gpus(subject.machine(), subject.system.allowance, o.gpus));
  for (const auto& gpu : chosen.gpus) subject.gpus.push_back(gpu.gpu);
  return subject;
}

TextStyle style_of(const Session& s) { return {s.width, s.unicode_out, s.color_out}; }

// ---- paths -----------------------------------------------------------------------------------------------------------------

Result<DeviceRef> parse_option_end(std::string_view option, const std::string& word) {
  const auto end = parse_end(word);
  if (!end) return bad_input(fmt::format("read {} '{}': no such end", option, word), "gpu0, nic0 or node0");
  return *end;
}

/// --from and --to narrow the tables to one pair.
Result<std::vector<PairTable>> tables_of(const LinkGraph& g, const AnalyzeOptions& o) {
  if (o.from.empty()) return all_pairs(g);
  NUMAPIN_TRY(const auto from, parse_option_end("--from", o.from));
  NUMAPIN_TRY(const auto to, parse_option_end("--to", o.to));
  const auto route = find_route(g, from, to);
  if (!route) return fail(Error::Kind::kNotFound, fmt::format("find a way from {} to {}: the machine has none", o.from, o.to), "'numapin topo' lists the devices");
  return std::vector{PairTable{fmt::format("{} to {}", to_string(from), to_string(to)), {from}, {to}, {{route}}}};
}

Result<std::string> run_paths(const Session& s, const AnalyzeOptions& o, const Subject& subject) {
  const auto g = subject.graph();
  NUMAPIN_TRY(auto tables, tables_of(g, o));
  if (tables.empty()) return fail(Error::Kind::kUnsupported, "analyze paths: the machine has no GPU", "try --machine dgx-h100");
  const PathsView view{subject.hostname(), g, std::move(tables), o.all};
  return o.format == "json" ? paths_json(view) : paths_text(view, style_of(s));
}

// ---- traffic ---------------------------------------------------------------------------------------------------------------

bool is_part(const LinkGraph& g, DeviceRef end) {
  const auto kind = end.type == DeviceRef::Type::kGpu ? Part::Kind::kGpu : end.type == DeviceRef::Type::kNic ? Part::Kind::kNic : Part::Kind::kMemory;
  return std::any_of(g.parts.begin(), g.parts.end(), [&](const Part& p) { return p.kind == kind && p.index == end.index; });
}

Result<FlowSet> read_flows(const std::string& file, const LinkGraph& g) {
  NUMAPIN_TRY(const auto text, read_text_file(file));
  NUMAPIN_TRY(auto flows, flows_from_json(text));
  if (flows.flows.empty()) return bad_input(fmt::format("read {}: it has no flows", file));
  for (const auto& flow : flows.flows)
    for (const auto end : {flow.from, flow.to})
      if (!is_part(g, end)) return bad_input(fmt::format("run the flows of {}: this machine has no {}", file, to_string(end)), "'numapin topo' lists what it has");
  return flows;
}

/// A machine as it is or might be, and the flows on it.
Result<TrafficView::Run> run_once(const AnalyzeOptions& o, const Subject& subject, const Machine& m, std::string name, const Binding& binding) {
  TrafficView::Run run{std::move(name), subject.graph(m), {}, {}, 0};
  FlowSet flows;
  if (!o.flows.empty()) {
    NUMAPIN_TRY(flows, read_flows(o.flows, run.graph));
  } else {
    const auto pattern = parse_pattern(o.pattern.empty() ? "load" : o.pattern).value();
    flows = flows_of(m, run.graph, pattern, subject.gpus, binding);
    if (pattern == Pattern::kRing) run.ring_gpus = subject.gpus.size();
  }
  if (flows.flows.empty()) return fail(Error::Kind::kUnsupported, "analyze traffic: the pattern has no flows on this machine", "it needs GPUs, and rdma needs NICs");
  run.traffic = run_traffic(run.graph, flows);
  run.advice = advise(run.graph, flows, run.traffic);
  return run;
}

std::string run_name(const AnalyzeOptions& o, std::string_view bind) {
  if (!o.flows.empty()) return "flows of " + o.flows;
  const std::string pattern = o.pattern.empty() ? "load" : o.pattern;
  return pattern == "load" || pattern == "save" ? fmt::format("{}, memory {}", pattern, bind) : pattern;
}

Result<Binding> read_binding(std::string_view word, const Machine& m) {
  NUMAPIN_TRY(const auto binding, parse_binding(word));
  if (binding.kind == Binding::Kind::kNode && !memory_nodes(m).contains(binding.node))
    return bad_input(fmt::format("bind to node {}: it has no memory", number(binding.node)), "'numapin topo' lists the nodes");
  return binding;
}

/// "bind=node0" asks for the same traffic with other memory; anything else changes the machine.
Result<TrafficView::Run> run_what_if(const AnalyzeOptions& o, const Subject& subject, const std::string& spec, const Binding& binding) {
  if (spec.starts_with("bind=")) {
    NUMAPIN_TRY(const auto other, read_binding(std::string_view(spec).substr(5), subject.machine()));
    return run_once(o, subject, subject.machine(), run_name(o, spec.substr(5)), other);
  }
  auto changed = subject.machine();
  NUMAPIN_TRY(const auto said, apply_what_if(changed, spec));
  return run_once(o, subject, changed, "with " + said, binding);
}

Result<std::string> run_traffic_command(const Session& s, const AnalyzeOptions& o, const Subject& subject) {
  NUMAPIN_TRY(const auto binding, read_binding(o.bind, subject.machine()));
  TrafficView view{subject.hostname(), {}};
  NUMAPIN_TRY(auto first, run_once(o, subject, subject.machine(), run_name(o, o.bind), binding));
  view.runs.push_back(std::move(first));
  for (const auto& spec : o.what_if) {
    NUMAPIN_TRY(auto run, run_what_if(o, subject, spec, binding));
    view.runs.push_back(std::move(run));
  }
  return o.format == "json" ? traffic_json(view) : traffic_text(view, style_of(s));
}

Result<std::string> run_fabric_command(const AnalyzeOptions& o, const Subject& subject) {
  NUMAPIN_TRY(const auto text, read_text_file(o.fabric));
  NUMAPIN_TRY(const auto fabric, fabric_from_json(text));
  const bool aligned = o.rings == "aligned";
  NUMAPIN_TRY(const auto traffic, run_fabric(subject.machine(), subject.graph(), fabric, aligned));
  const FabricView view{fabric, traffic, aligned, subject.machine().gpus.size()};
  return o.format == "json" ? fabric_json(view) : fabric_text(view);
}

// ---- place -----------------------------------------------------------------------------------------------------------------

Result<std::string> run_place(const AnalyzeOptions& o, const Subject& subject) {
  if (o.count == 0) return bad_input("analyze place: how many GPUs?", "-n 4");
  const auto g = subject.graph();
  const auto pattern = parse_pattern(o.pattern.empty() ? "ring" : o.pattern).value();
  NUMAPIN_TRY(auto result, place_gpus(subject.machine(), g, o.count, pattern, subject.gpus));
  auto nics = pair_nics(subject.machine(), g, result.best.gpus);
  const PlaceView view{subject.hostname(), pattern, std::move(result), std::move(nics), subject.machine()};
  return o.format == "json" ? place_json(view) : place_text(view);
}

Result<std::string> answer(const Session& s, const AnalyzeOptions& o) {
  NUMAPIN_TRY(const auto subject, open_subject(s, o));
  if (o.format == "nccl-xml") return nccl_topology_xml(subject.machine(), subject.graph());
  if (!o.fabric.empty()) return run_fabric_command(o, subject);
  if (o.what == "traffic") return run_traffic_command(s, o, subject);
  if (o.what == "place") return run_place(o, subject);
  return run_paths(s, o, subject);
}

/// NCCL_TOPO_XML_MAX_NODES of nccl/src/graph/topo.h.
constexpr std::size_t kMostNcclElements = 256;

void warn_of_nccl(const Session& s, const std::string& xml) {
  std::size_t elements = 0;
  for (std::size_t at = xml.find('<'); at != xml.npos; at = xml.find('<', at + 1)) elements += xml[at + 1] != '/';
  if (elements > kMostNcclElements) s.warn(fmt::format("the file has {} elements; NCCL reads at most {}", elements, kMostNcclElements));
}

int run_analyze(Session& s, AnalyzeOptions& o) {
  if (o.json) o.format = "json";
  const auto text = answer(s, o);
  if (!text) return s.report(text.error());
  if (o.format == "nccl-xml") warn_of_nccl(s, *text);
  s.out << *text;
  return kDone;
}

std::vector<std::string> known_patterns() {
  std::vector<std::string> words;
  for (const auto p : {Pattern::kLoad, Pattern::kSave, Pattern::kRing, Pattern::kTree, Pattern::kAllToAll, Pattern::kPipeline, Pattern::kRdma})
    words.emplace_back(to_string(p));
  return words;
}

void add_traffic_options(CLI::App& app, AnalyzeOptions& o) {
  auto* pattern = app.add_option("--pattern", o.pattern, "Who talks to whom: " + pattern_words() + " (default: load; of place: ring)")
                      ->check(one_of(known_patterns()))->type_name("NAME");
  app.add_option("--bind", o.bind, "Where the memory of load and save lies: local (default), interleave, or a node as node0")->type_name("WHERE");
  app.add_option("--flows", o.flows, "Flows of your own, as JSON (docs/analyze.md)")->type_name("FILE")->excludes(pattern);
  app.add_option("--what-if", o.what_if, "Run it again otherwise and compare: bind=node0, gpu3=gen3x8, move:gpu3=node1; may be given several times")
      ->type_name("CHANGE")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->expected(1);
  app.add_option("--fabric", o.fabric, "Many such machines under a fat tree described in this file, with an all-reduce over all GPUs")->type_name("FILE");
  app.add_option("--rings", o.rings, "With --fabric: the rings stay on their rail (aligned, default) or change it at each machine (crossed)")
      ->check(one_of({"aligned", "crossed"}))->type_name("HOW");
}

}  // namespace

Runner add_analyze(CLI::App& app) {
  auto o = std::make_shared<AnalyzeOptions>();
  app.add_option("WHAT", o->what, "paths (default): the way and rate of every pair; traffic: what a pattern gets; place: which GPUs to take")
      ->check(one_of({"paths", "traffic", "place"}));
  add_machine_option(app, o->machine);
  add_measured_option(app, o->measured);
  app.add_option("--gpus", o->gpus, "Only these GPUs, in this order (traffic, place): 0-3, 5,1, UUIDs, PCI addresses")->type_name("LIST");
  auto* from = app.add_option("--from", o->from, "paths: one pair only: gpu0, nic0, node0")->type_name("END");
  auto* to = app.add_option("--to", o->to, "the other end of it")->type_name("END");
  from->needs(to);
  to->needs(from);
  app.add_flag("--all", o->all, "paths: a line for every pair, not one for those that are alike");
  app.add_option("-n", o->count, "place: how many GPUs")->check(number_from(1, 1024))->type_name("N");
  add_traffic_options(app, *o);
  auto* format = app.add_option("--format", o->format, "text (default), json, nccl-xml (a file for NCCL_TOPO_FILE, with measured rates)")
                     ->check(one_of({"text", "json", "nccl-xml"}))->type_name("NAME");
  add_json_flag(app, o->json)->excludes(format);
  set_examples(app,
               "  numapin analyze --machine dgx-h100                          every pair: its way, its rate, its limit\n"
               "  numapin analyze traffic --pattern load --bind node0         all GPUs load from node 0 at once\n"
               "  numapin analyze traffic --what-if gpu3=gen3x8               and with one link down-trained\n"
               "  numapin analyze place -n 4                                  the best 4 GPUs, their ring, their NICs\n"
               "  numapin analyze --format nccl-xml > topo.xml                for NCCL_TOPO_FILE=topo.xml\n");
  return [o](Session& s) { return run_analyze(s, *o); };
}

}  // namespace numapin::cli
