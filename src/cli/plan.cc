// numapin plan: what launch would do, as a table, as JSON, or as another tool's input. Starts nothing.
#include "cli/plan.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/job_options.h"
#include "cli/options.h"
#include "cli/session.h"
#include "numapin/plan_export.h"

namespace numapin::cli {
namespace {

struct Options {
  JobOptions job;
  std::string format = "text";
  bool json = false, explain = false;
  std::vector<std::string> words;
};

std::vector<std::string> format_names() {
  std::vector<std::string> names = {"text", "json"};
  for (const auto& format : export_formats()) names.emplace_back(format.name);
  return names;
}

Result<std::string> write_plan(const Options& o, const PlannedJob& planned) {
  if (o.format == "text") return text_of(planned, o.explain);
  if (o.format == "json") return to_json(planned.plan);
  const auto& machine = planned.system.machine;
  return export_plan(o.format, {machine, planned.plan, o.words, machine.hostname.value_or("localhost")});
}

int run_plan(Options& o, Session& s) {
  if (o.json) o.format = "json";
  const auto planned = plan_job(o.job, s);
  if (!planned) return s.report(planned.error());
  warn_once(s, planned->plan);
  const auto text = write_plan(o, *planned);
  if (!text) return s.report(text.error());
  s.out << *text;
  // The JSON has the reasons in it; another tool's input has no place for them.
  if (o.explain && o.format != "text" && o.format != "json") s.err << text_of(*planned, true);
  return kDone;
}

std::string format_help() {
  std::string help = "text (default), json";
  for (const auto& format : export_formats()) help += fmt::format(", {} ({})", format.name, format.summary);
  return help;
}

}  // namespace

Runner add_plan(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.prefix_command();
  add_job_options(app, o->job);
  auto* format = app.add_option("--format", o->format, format_help())
                     ->check(one_of(format_names()))->type_name("NAME");
  add_json_flag(app, o->json)->excludes(format);
  app.add_flag("--explain", o->explain, "with the reason for every decision");
  set_examples(app,
               "  numapin plan                                          who would go where on this machine\n"
               "  numapin plan --machine dgx-h100 --explain             and why, on another one\n"
               "  numapin plan --format numactl -- python train.py      shell lines for numactl, ready to paste\n"
               "  numapin plan --format openmpi-rankfile > ranks.txt    for mpirun --rankfile ranks.txt\n");
  return [&app, o](Session& s) {
    o->words = command_words(app);
    return run_plan(*o, s);
  };
}

}  // namespace numapin::cli
