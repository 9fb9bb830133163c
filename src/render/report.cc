#include "render/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "plan/policy_text.h"
#include "render/heat_map.h"
#include "render/layout.h"
#include "render/machine_words.h"
#include "render/measured_maps.h"
#include "render/node_card.h"
#include "render/palette.h"
#include "render/plan_text.h"
#include "render/report_css.h"
#include "render/topo_parts.h"
#include "render/xml_text.h"

namespace numapin {
namespace {

using namespace drawing;

std::string section(std::string_view id, std::string_view title, const std::string& content) {
  if (content.empty()) return {};
  return fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n", id,
                     xml_text(title), content);
}

std::string paragraph_html(std::string_view text, std::string_view of_class = "") {
  return fmt::format("<p{}>{}</p>\n", of_class.empty() ? "" : fmt::format(" class=\"{}\"", of_class), xml_text(text));
}

std::string list_html(const std::vector<std::string>& items) {
  std::string text = "<ul class=\"plain\">\n";
  for (const auto& item : items) text += "<li>" + xml_text(item) + "</li>\n";
  return text + "</ul>\n";
}

/// A cell of a table that becomes a list of facts on a narrow screen. `html` is markup.
std::string cell(std::string_view name, const std::string& html) {
  return fmt::format("<td data-name=\"{}\">{}</td>", xml_text(name), html);
}

std::string table_head(const std::vector<std::string_view>& names) {
  std::string text = "<table class=\"wide stack\">\n<thead><tr>";
  for (const auto name : names) text += fmt::format("<th scope=\"col\">{}</th>", xml_text(name));
  return text + "</tr></thead>\n<tbody>\n";
}
constexpr std::string_view kTableEnd = "</tbody></table>\n";

/// A list of CPUs that a line may break after each comma.
std::string cpus_html(const CpuSet& cpus) {
  std::string text;
  for (const auto& piece : list_pieces(cpus)) text += xml_text(piece) + "<wbr/>";
  return "<span class=\"mono\">" + text + "</span>";
}

// ---- the answer ---------------------------------------------------------------------------------------------------------

std::string gpus_words(const std::vector<int>& gpus) {
  return fmt::format("GPU{} {}", gpus.size() > 1 ? "s" : "", number_list(gpus));
}

/// "GPUs 0-3 are beside node 0, GPUs 4-7 beside node 1."
std::string where_gpus_are(const Machine& m) {
  std::vector<std::pair<NodeSet, std::vector<int>>> groups;
  for (const auto& gpu : m.gpus) {
    if (!gpu.numa_nodes) continue;
    auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == *gpu.numa_nodes; });
    if (at == groups.end()) at = groups.insert(groups.end(), {*gpu.numa_nodes, {}});
    at->second.push_back(gpu.index);
  }
  std::vector<std::string> parts;
  for (const auto& [nodes, gpus] : groups) {
    const auto verb = !parts.empty() ? "" : gpus.size() > 1 ? "are " : "is ";
    parts.push_back(fmt::format("{} {}beside {}", gpus_words(gpus), verb, node_words(nodes)));
  }
  return parts.empty() ? "" : join(parts, ", ") + ".";
}

std::string answer(const Machine& m) {
  std::string text;
  if (m.gpus.empty()) {
    text = m.nodes.size() == 1 ? "No GPU, and one NUMA node: there is nothing to place."
                               : fmt::format("No GPU. {} to place programs on.", plural(m.nodes.size(), "NUMA node"));
  } else if (dram_nodes(m).size() == 1 && gpus_of_unknown_node(m).empty()) {
    text = fmt::format("{} beside the only node with host memory: nothing is far.",
                       m.gpus.size() > 1 ? fmt::format("All {} GPUs are", m.gpus.size()) : "The GPU is");
  } else {
    text = where_gpus_are(m);
  }
  auto html = text.empty() ? "" : paragraph_html(text, "answer");
  if (const auto unknown = gpus_of_unknown_node(m); !unknown.empty()) {
    const auto advice = unknown_node_advice(m);
    html += fmt::format("<p class=\"answer\"><span class=\"state warn\">Unknown:</span> which node {} {} near.</p>\n",
                        xml_text(gpus_words(unknown)), unknown.size() > 1 ? "are" : "is");
    html += paragraph_html("Why: " + advice.why) + (advice.what_to_do.empty() ? "" : paragraph_html("Do: " + advice.what_to_do));
  }
  return html;
}

std::string what_to_type(const Machine& m) {
  std::string lines;
  const auto add = [&](std::string_view what, std::string_view command) {
    lines += fmt::format("<li><span class=\"muted\">{}</span> <code>{}</code></li>\n", what, xml_text(command));
  };
  if (m.gpus.empty()) {
    if (const auto nodes = cpu_nodes(m) & dram_nodes(m); nodes.size() > 1)
      add("On one node:", fmt::format("numapin run --cpunodebind={0} --preferred={0} -- COMMAND", number(nodes.first())));
  } else if (!gpus_of_unknown_node(m).empty() && m.nodes.size() > 1) {
    add("By hand:", "numapin run --gpu 0 --cpunodebind=NODE --preferred=NODE -- COMMAND");
  } else {
    add("Beside one GPU:", "numapin run --gpu 0 -- COMMAND");
    if (m.gpus.size() > 1) add("One process per GPU:", "numapin launch -- COMMAND");
  }
  return lines.empty() ? "" : "<ul class=\"type\">\n" + lines + "</ul>\n";
}

std::string memory_html(const Machine& m, const NumaNode& node) {
  const auto kind = kind_words(m, node);
  const auto behind = kind.empty() ? "" : fmt::format(" <span class=\"muted\">({})</span>", xml_text(kind));
  if (has_no_memory(node)) return "none" + behind;
  if (!node.memory_total_bytes) return "unknown" + behind;
  const auto total = *node.memory_total_bytes;
  if (!node.memory_free_bytes) return xml_text(size_text(total)) + behind;
  const auto used = total - std::min(*node.memory_free_bytes, total);
  return fmt::format("<span class=\"bar\"><i style=\"width:{:.0f}%\"></i></span>{} free of {}{}",
                     100.0 * static_cast<double>(used) / static_cast<double>(total), size_text(*node.memory_free_bytes),
                     size_text(total), behind);
}

std::string node_rows(const Machine& m) {
  const auto skip = empty_nodes(m);
  std::string rows;
  for (const auto& node : m.nodes) {
    if (skip.contains(node.id)) continue;
    const auto gpus = gpus_near(m, node.id);
    const auto no_gpu = gpus_of_unknown_node(m).empty() ? "none" : "none known";
    const auto cpus = !node.cpus ? "unknown" : node.cpus->empty() ? "none" : cpus_html(*node.cpus);
    rows += fmt::format("<tr><th scope=\"row\">node {}</th>{}{}{}</tr>\n", number(node.id), cell("GPUs", gpus.empty() ? no_gpu : number_list(gpus)),
                        cell("CPUs", cpus), cell("Memory", memory_html(m, node)));
  }
  if (rows.empty()) return {};
  rows = "<div class=\"card\">" + table_head({"Node", "GPUs", "CPUs", "Memory"}) + rows + std::string(kTableEnd) + "</div>\n";
  if (!skip.empty()) rows += paragraph_html(fmt::format("Nodes {} have neither CPUs nor memory.", skip.to_list()), "muted");
  return rows;
}

// ---- the machine drawn --------------------------------------------------------------------------------------------------

std::string machine_drawing(const Report& r) {
  const auto& m = r.system.machine;
  const PlanTints tints = r.plan ? PlanTints(*r.plan) : PlanTints();
  const auto cards = node_cards(m);
  const bool few = cards.size() <= 2 || cards.size() == 4;  // two side by side; more, three
  constexpr double kNarrow = 376, kWide = 640;
  const auto drawn = [&](const NodeCard& card, double width) {
    return svg_element(draw_node_card(m, card, tints, r.system.allowance.cpus.value, width), "Drawing of " + card.title);
  };
  std::string text;
  if (tints.any())
    text += paragraph_html("Cores have the tint of the GPU that the plan below gives them to. Lines of the PCIe tree are as "
                           "thick as links are wide.", "muted");
  text += fmt::format("<div class=\"nodes{}\">\n", few ? " few" : "");
  for (const auto& card : cards) {
    if (few) {
      text += fmt::format("<figure><div class=\"wide-drawing\">{}</div><div class=\"narrow\">{}</div></figure>\n",
                          drawn(card, kWide), drawn(card, kNarrow));
    } else {
      text += "<figure>" + drawn(card, kNarrow) + "</figure>\n";
    }
  }
  return cards.empty() ? "" : text + "</div>\n";
}

std::string heat_card(const HeatMap& map) {
  if (map.empty()) return {};
  const auto caption = map.caption.empty() ? "" : paragraph_html(map.caption, "muted");
  return fmt::format("<div class=\"card\"><h3>{}</h3>\n{}{}</div>\n", xml_text(map.title), caption, heat_html(map));
}

std::string links(const Machine& m) {
  auto text = heat_card(gpu_link_map(m));
  if (const auto mesh = draw_gpu_mesh(m); mesh.height > 0)
    text += "<div class=\"card mesh\">" + svg_element(mesh, "Links between GPUs") + "</div>\n";
  text += heat_card(distance_map(m));
  std::string rows;
  for (const auto& gpu : m.gpus) {
    if (const auto nics = nearest_nics(m, gpu.index); !nics.empty())
      rows += fmt::format("<tr><th scope=\"row\">GPU {}</th><td>{}</td></tr>\n", gpu.index, xml_text(nics));
  }
  if (!rows.empty())
    text += "<div class=\"card\"><h3>Nearest RDMA NIC</h3>\n<table><tbody>" + rows + std::string(kTableEnd) + "</div>\n";
  return text.empty() ? "" : "<div class=\"side\">\n" + text + "</div>\n";
}

// ---- plan and processes -------------------------------------------------------------------------------------------------

std::string plan_reasons(const Plan& plan) {
  std::string text = "<details><summary>Why</summary>\n<ul class=\"plain\">\n";
  for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
    for (const auto& reason : plan.placements[rank].because) text += fmt::format("<li>rank {}: {}</li>\n", rank, xml_text(reason));
  }
  return text + "</ul></details>\n";
}

std::string plan_table(const Report& r) {
  if (!r.plan) return r.no_plan.empty() ? "" : paragraph_html("There is none: " + r.no_plan);
  const auto& plan = *r.plan;
  if (plan.placements.empty()) return {};
  const PlanTints tints(plan);
  auto text = std::string("<div class=\"card\">") + table_head({"Rank", "GPU", "Node", "CPUs", "Memory"});
  for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
    const auto& p = plan.placements[rank];
    const auto tint = p.gpus.size() == 1 ? tints.of_gpu(p.gpus.front()) : std::nullopt;
    const auto chip = tint ? fmt::format("<span class=\"tint\" style=\"background:var(--{})\"></span>", *tint) : "";
    text += fmt::format("<tr><th scope=\"row\">rank {}</th>{}{}{}{}</tr>\n", rank, cell("GPU", chip + gpu_numbers(p)),
                        cell("Node", p.near_nodes.empty() ? "unknown" : p.near_nodes.to_list()),
                        cell("CPUs", p.cpus.empty() ? "as they are" : cpus_html(p.cpus)), cell("Memory", xml_text(describe(p.memory))));
  }
  text += std::string(kTableEnd) + plan_reasons(plan) + "</div>\n";
  std::vector<std::string> remarks = plan.notes;
  for (const auto& p : plan.placements) {
    for (const auto& warning : p.warnings) {
      if (std::find(remarks.begin(), remarks.end(), warning) == remarks.end()) remarks.push_back(warning);
    }
  }
  return remarks.empty() ? text : text + list_html(remarks);
}

std::string_view state_class(PlacementState s) {
  switch (s) {
    case PlacementState::kOk:
    case PlacementState::kOneNode: return "good";
    case PlacementState::kLoose:
    case PlacementState::kUnknown: return "warn";
    case PlacementState::kWrong: return "bad";
  }
  return "warn";
}

std::string process_row(const Inspection& i) {
  const auto& p = i.process;
  constexpr double kLongest = 300;  // a command line may be pages long
  const auto command = p.command.empty() ? p.name : fitted_text(p.command, 5, kLongest);
  auto verdict = fmt::format("<span class=\"state {}\">{}</span> {}", state_class(i.verdict.state), to_string(i.verdict.state), xml_text(i.verdict.line));
  if (!i.verdict.mend.empty()) verdict += "<br/>mend it: <code>" + xml_text(i.verdict.mend) + "</code>";
  const auto memory = p.memory ? size_text(total_bytes(p.memory->own())) : "unknown";
  return fmt::format("<tr><th scope=\"row\">{}</th>{}{}{}{}</tr>\n", p.pid, cell("Command", "<span class=\"mono\">" + xml_text(command) + "</span>"),
                     cell("GPUs", i.gpus.empty() ? "none" : number_list(i.gpus)), cell("Memory", memory), cell("Placement", verdict));
}

std::string processes(const Report& r) {
  if (!r.processes) return {};
  std::string text;
  if (r.processes->empty()) {
    text = paragraph_html("No process that uses a GPU was found.");
  } else {
    text = "<div class=\"card\">" + table_head({"PID", "Command", "GPUs", "Memory", "Placement"});
    for (const auto& i : *r.processes) text += process_row(i);
    text += std::string(kTableEnd) + "</div>\n";
  }
  return r.process_notes.empty() ? text : text + list_html(r.process_notes);
}

std::string_view severity_class(Severity s) { return s == Severity::kProblem ? "bad" : s == Severity::kWarning ? "warn" : "muted"; }

std::string finding_row(const Check& check, const Finding& f) {
  auto what = xml_text(f.is) + (f.should.empty() ? "" : "<br/><span class=\"muted\">should be:</span> " + xml_text(f.should));
  if (!f.mend.empty()) what += "<pre><code>" + xml_text(f.mend) + "</code></pre>";
  return fmt::format("<tr><th scope=\"row\"><span class=\"state {}\">{}</span></th>{}{}{}</tr>\n", severity_class(f.severity), to_string(f.severity),
                     cell("Check", fmt::format("<span title=\"{}\">{}</span>", xml_text(check.cost), xml_text(check.id))),
                     cell("About", f.about.empty() ? "the machine" : xml_text(f.about)), cell("Finding", what));
}

std::size_t count_of(const Report& r, Severity severity) {
  std::size_t count = 0;
  for (const auto& e : r.examinations) {
    count += static_cast<std::size_t>(std::count_if(e.result.findings.begin(), e.result.findings.end(),
                                                    [&](const Finding& f) { return f.severity == severity; }));
  }
  return count;
}

std::string findings(const Report& r) {
  if (r.examinations.empty()) return {};
  std::string rows;
  std::map<CheckResult::State, int> states;
  for (const auto severity : {Severity::kProblem, Severity::kWarning, Severity::kNote}) {
    for (const auto& e : r.examinations) {
      for (const auto& f : e.result.findings) {
        if (f.severity == severity) rows += finding_row(*e.check, f);
      }
    }
  }
  for (const auto& e : r.examinations) ++states[e.result.state];
  auto text = paragraph_html(fmt::format("{} checks: {} fine, {} found something, {} could not be told, {} do not apply here.", r.examinations.size(),
                                         states[CheckResult::State::kFine], states[CheckResult::State::kFound],
                                         states[CheckResult::State::kUnknown], states[CheckResult::State::kNotHere]), "muted");
  if (rows.empty()) return text;
  return text + "<div class=\"card\">" + table_head({"Severity", "Check", "About", "Finding"}) + rows + std::string(kTableEnd) + "</div>\n";
}

std::string measured(const Report& r) {
  if (!r.measured) return {};
  std::string cards;
  for (const auto& map : measured_maps(*r.measured)) cards += heat_card(map);
  if (cards.empty()) return paragraph_html("The report of 'numapin bench' has no figure.");
  auto text = paragraph_html(fmt::format("Medians, taken at {} by numapin {}. Strong colour is best; half as good and less has none.",
                                         r.measured->taken_at, r.measured->numapin_version), "muted");
  text += "<div class=\"side\">\n" + cards + "</div>\n";
  return r.measured->notes.empty() ? text : text + list_html(r.measured->notes);
}

// ---- first screen -------------------------------------------------------------------------------------------------------

std::string findings_line(const Report& r) {
  if (r.examinations.empty()) return {};
  const auto problems = count_of(r, Severity::kProblem), warnings = count_of(r, Severity::kWarning);
  const auto state = problems + warnings == 0 ? "<span class=\"state good\">nothing to mend</span>"
                                              : fmt::format("<span class=\"state {}\">{}, {}</span>", problems > 0 ? "bad" : "warn",
                                                            plural(problems, "problem"), plural(warnings, "warning"));
  return "<li><a href=\"#findings\">Doctor</a>: " + state + "</li>";
}

std::string processes_line(const Report& r) {
  if (!r.processes || r.processes->empty()) return {};
  const auto wrong = std::count_if(r.processes->begin(), r.processes->end(),
                                   [](const Inspection& i) { return i.verdict.state == PlacementState::kWrong; });
  const auto loose = std::count_if(r.processes->begin(), r.processes->end(),
                                   [](const Inspection& i) { return i.verdict.state == PlacementState::kLoose; });
  const auto state = wrong > 0 ? fmt::format("<span class=\"state bad\">{} in the wrong place</span>", wrong)
                     : loose > 0 ? fmt::format("<span class=\"state warn\">{} free to migrate</span>", loose)
                                 : std::string("<span class=\"state good\">none in the wrong place</span>");
  const auto count = r.processes->size();
  return fmt::format("<li><a href=\"#processes\">{} GPU process{}</a>: {}</li>", count, count > 1 ? "es" : "", state);
}

std::string header(const Report& r) {
  const auto& m = r.system.machine;
  std::vector<std::string> origin;
  if (m.cpu_model) origin.push_back(*m.cpu_model);
  if (m.architecture) origin.push_back(*m.architecture);
  if (m.kernel_release) origin.push_back("kernel " + *m.kernel_release);
  if (m.driver_version) origin.push_back("NVIDIA driver " + *m.driver_version);
  const auto cpus = join(cpu_phrases(m), " ");
  auto text = fmt::format("<header>\n<h1>{}</h1>\n", xml_text(m.hostname.value_or("machine")));
  text += paragraph_html(cpus + (cpus.empty() ? "" : ", ") + join(size_phrases(m), ", "));
  if (!origin.empty()) text += paragraph_html(join(origin, ", "), "muted");
  for (const auto& sentence : allowance_sentences(r.system)) text += paragraph_html(sentence);
  return text + "</header>\n";
}

std::string footer(const Report& r) {
  return fmt::format("<footer><p>Made from {}. Again: <code>{}</code></p></footer>\n", xml_text(r.origin), xml_text(r.command));
}

}  // namespace

std::string report_html(const Report& r) {
  const auto& m = r.system.machine;
  const auto name = xml_text(m.hostname.value_or("machine"));
  const auto states = findings_line(r) + processes_line(r);
  auto text = fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
                          "content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light dark\"/>\n"
                          "<title>{}: who is beside whom</title>\n<style>{}{}{}</style>\n</head>\n<body>\n",
                          name, css_variables(), svg_css(), kReportCss);
  text += header(r) + "<main>\n" + answer(m) + (states.empty() ? "" : "<ul class=\"facts\">" + states + "</ul>\n") + what_to_type(m) + node_rows(m);
  text += section("machine", "The machine", machine_drawing(r));
  text += section("links", "Links and distances", links(m));
  text += section("plan", "The plan: one process per GPU", plan_table(r));
  text += section("processes", "Processes that use a GPU", processes(r));
  text += section("findings", "What doctor found", findings(r));
  text += section("measured", "Measured", measured(r));
  const auto notes = note_sentences(r.system);
  text += section("notes", "Notes", notes.empty() ? "" : list_html(notes));
  return text + "</main>\n" + footer(r) + "</body>\n</html>\n";
}

}  // namespace numapin
