// What comes from Slurm: its files, scontrol's answer, a task's variables, and what users write behind --numapin.
#include <algorithm>

#include "base/text.h"
#include "diagnose/check_slurm.h"
#include "diagnose/slurm_conf.h"
#include "diagnose/slurm_explain.h"
#include "fuzz/target.h"
#include "numapin/sources.h"
#include "options.h"
#include "plan/slurm_gpus.h"

namespace numapin::fuzz {
namespace {

const Machine& machine() {
  static const Machine m = open_machine("dual-a100")->machine;
  return m;
}

/// The same text as slurm.conf, gres.conf and cgroup.conf.
void slurm_files(std::string_view bytes) {
  const std::string text(bytes);
  const auto findings = check_slurm(machine(), {"gpu07", text, "slurm.conf", text, text, text, "gres.conf"});
  for (const auto& f : findings.findings) demand(!f.is.empty() && !f.should.empty(), "a finding without words");
  (void)to_json(findings);
  (void)doctor::node_conf(text, "gpu07");
}

void scontrol_job(std::string_view bytes) {
  auto given = parse_scontrol_job(bytes, machine(), "gpu07");
  if (!given) return demand(!given.error().message.empty(), "an error without a message");
  demand(online_cpus(machine()).contains(given->job_cpus), "a CPU that is not there");
  for (const int gpu : given->gpus) demand(gpu >= 0 && gpu < static_cast<int>(machine().gpus.size()), "a GPU that is not there");
  (void)to_json(explain_slurm(machine(), std::move(*given)));
}

/// First line: a letter for each GPU, o open, c closed, else not known. Then NAME=value.
void slurm_task(std::string_view bytes) {
  SlurmTask task;
  const auto lines = split_lines(bytes);
  for (std::size_t i = 0; !lines.empty() && i < lines[0].size() && i < machine().gpus.size(); ++i)
    if (lines[0][i] == 'o' || lines[0][i] == 'c') task.may_open[static_cast<int>(i)] = lines[0][i] == 'o';
  for (const auto line : lines)
    if (const auto at = line.find('='); at != line.npos) task.env[std::string(line.substr(0, at))] = std::string(line.substr(at + 1));
  const auto choice = slurm_gpus(machine(), task);
  if (!choice) return demand(!choice.error().message.empty(), "an error without a message");
  for (const auto& gpu : choice->gpus) {
    demand(gpu.gpu >= 0 && gpu.gpu < static_cast<int>(machine().gpus.size()), "a GPU that is not there was chosen");
    const auto file = task.may_open.find(gpu.gpu);
    demand(file == task.may_open.end() || file->second, "a GPU was chosen that the task may not open");
  }
}

void spank_words(std::string_view bytes) {
  using namespace numapin_spank;
  const auto site = read_site({bytes});
  const auto both = effective(site, std::string(bytes));
  demand(both.options.cpus == "node" || both.options.cpus == "l3" || both.options.cpus == "exclusive", "CPUs of no kind");
  if (has_own_masks(bytes, 2)) demand(bytes.find("mask_cpu:") != bytes.npos, "own masks out of nothing");
}

}  // namespace

std::vector<Target> slurm_targets() {
  return {{"slurm_files", "slurm.conf, gres.conf, cgroup.conf", slurm_files},
          {"scontrol_job", "scontrol show job -d", scontrol_job},
          {"slurm_task", "device files and variables of a Slurm task", slurm_task},
          {"spank_words", "--numapin and the line in plugstack.conf", spank_words}};
}

}  // namespace numapin::fuzz
