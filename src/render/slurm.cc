#include "render/slurm.h"

#include <algorithm>

#include "base/text.h"
#include "diagnose/result.h"
#include "render/layout.h"

namespace numapin {
namespace {

using doctor::gpus_text;
using doctor::nodes_text;

/// "label  text" with the text hanging beside the label.
std::string paragraph(std::string_view label, std::string_view text, const TextStyle& style) {
  constexpr std::size_t kIndent = 12;
  std::vector<std::string> words;
  for (const auto word : split_words(text)) words.push_back(clean(word));
  return flow(padded(label, kIndent), std::string(kIndent, ' '), words, " ", static_cast<std::size_t>(std::clamp(style.width, 40, 120)));
}

std::string label_of(const Finding& f) { return "  " + std::string(to_string(f.severity)); }

std::string commands(std::string_view text) {
  std::string out;
  for (const auto line : split_lines(text)) out += padded(out.empty() ? "  mend" : "", 12) + clean(line) + "\n";
  return out;
}

}  // namespace

std::string slurm_check_text(const SlurmFindings& f, const SlurmSite& site, const TextStyle& style) {
  const auto worse = std::count_if(f.findings.begin(), f.findings.end(), [](const Finding& one) { return one.severity != Severity::kNote; });
  const auto notes = static_cast<std::ptrdiff_t>(f.findings.size()) - worse;
  auto text = fmt::format("{} for node {}: {}{}\n", site.slurm_conf_path, site.host, worse == 0 ? "nothing to mend" : doctor::count_text(static_cast<std::size_t>(worse), "finding"),
                          notes == 0 ? "" : ", " + doctor::count_text(static_cast<std::size_t>(notes), "note"));
  for (const auto& one : f.findings) {
    text += "\n" + paragraph(label_of(one), one.about + ": " + one.is, style) + paragraph("  should be", one.should, style);
    if (!one.mend.empty()) text += commands(one.mend);
  }
  if (!f.fine.empty()) text += "\n";
  for (const auto& line : f.fine) text += paragraph("  fine", line, style);
  for (const auto& line : f.unknown) text += paragraph("  unknown", line, style);
  return text;
}

std::string slurm_explain_text(const Machine& m, const SlurmExplanation& e, const TextStyle& style) {
  const auto& g = e.given;
  auto text = g.what + "\n";
  const auto place = [&](const CpuSet& cpus) {
    const auto nodes = doctor::nodes_of(m, cpus);
    return fmt::format("CPUs {}{}", cpus.empty() ? "unknown" : cpus.to_list(), nodes.empty() ? "" : fmt::format(" ({})", nodes_text(nodes)));
  };
  text += paragraph("  job has", fmt::format("{}; {}", place(g.job_cpus), g.gpus.empty() ? "no GPU" : gpus_text(g.gpus)), style);
  if (g.task_cpus)
    text += paragraph("  task has", fmt::format("{}{}{}", place(*g.task_cpus), g.policy.empty() ? "" : "; memory policy " + g.policy,
                                                g.mems ? fmt::format(", allowed {}", nodes_text(*g.mems)) : ""), style);
  for (const auto& line : g.because) text += paragraph("    by", line, style);
  if (!e.near.empty()) text += paragraph("  GPU wants", fmt::format("CPUs {} and memory of {}", e.near_cpus.to_list(), nodes_text(e.near)), style);
  for (const auto& line : e.wrong) text += paragraph("  wrong", line, style);
  if (e.wrong.empty()) text += paragraph("  verdict", e.near.empty() ? "nothing to judge" : "beside its GPU", style);
  if (!e.line.empty()) text += paragraph("  instead", e.line, style);
  for (const auto& line : e.notes) text += paragraph("  note", line, style);
  return text;
}

}  // namespace numapin
