// numapin report: the machine, its plan and what runs on it as one page of HTML.
#include "cli/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "cli/doctor_setup.h"
#include "cli/inspection.h"
#include "cli/job_options.h"
#include "cli/measured_file.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/write_file.h"
#include "render/report.h"

namespace numapin::cli {
namespace {

struct Options {
  std::string html, machine, measured;
};

/// A recorded machine has no date: the page of a built-in machine is the same every time.
std::string origin_of(const Options& o) {
  if (!o.machine.empty()) return fmt::format("the recorded machine '{}' by numapin {}", o.machine, NUMAPIN_VERSION);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("this machine at {:%Y-%m-%d %H:%M} UTC by numapin {}", fmt::gmtime(now), NUMAPIN_VERSION);
}

std::string command_of(const Options& o) {
  std::string text = "numapin report";
  if (!o.machine.empty()) text += " --machine " + o.machine;
  if (!o.measured.empty()) text += " --measured " + o.measured;
  return text + " --html " + (o.html == "-" ? "FILE" : o.html);
}

void add_plan(Report& report, const Options& o, const Session& s) {
  JobOptions job;
  job.machine = o.machine;
  auto planned = plan_job(job, s);
  if (planned) {
    report.plan = std::move(planned->plan);
  } else {
    report.no_plan = planned.error().message;
  }
}

void add_processes(Report& report, const System& system, const Session& s) {
  const auto users = find_gpu_users(s.live, system.machine, s.nvml());
  auto inspector = make_inspector(s.live, system.machine, users);
  inspector.add_users(users);
  report.processes = std::move(inspector.list);
  report.process_notes = users.notes;
}

/// A recorded machine has no running system: then only the checks of the machine itself can tell.
void add_findings(Report& report, const Options& o, const System& system, const Session& s) {
  Setup setup;
  setup.recorded = !o.machine.empty();
  if (setup.recorded) {
    setup.system = system;
  } else if (auto live = read_setup({}, s, report.process_notes)) {
    setup = std::move(*live);
  } else {
    return s.warn("no findings: " + live.error().message);
  }
  if (auto examined = examine(setup)) report.examinations = std::move(*examined);
}

int run_report(const Options& o, Session& s) {
  auto system = s.system(o.machine);
  if (!system) return s.report(system.error());
  auto measured = read_measured(o.measured, *system);
  if (!measured) return s.report(measured.error());
  Report report{*system, origin_of(o), command_of(o), {}, {}, {}, {}, {}, std::move(*measured)};
  if (!system->machine.gpus.empty()) add_plan(report, o, s);
  if (o.machine.empty()) add_processes(report, *system, s);
  add_findings(report, o, *system, s);
  const auto page = report_html(report);
  if (o.html == "-") {
    s.out << page;
    return kDone;
  }
  const auto written = write_file(o.html, page, true);
  if (!written) return s.report(written.error());
  s.say("wrote " + o.html);
  return kDone;
}

}  // namespace

Runner add_report(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--html", o->html, "Write the page into this file (-: standard output)")->type_name("FILE")->required();
  add_measured_option(app, o->measured);
  add_machine_option(app, o->machine);
  set_examples(app,
               "  numapin report --html machine.html                     # this machine, and the GPU processes on it\n"
               "  numapin report --machine dgx-h100 --html dgx.html      # a DGX H100, without having one\n"
               "  numapin report --measured bench.json --html page.html  # with what 'numapin bench' measured\n"
               "\n"
               "The page shows command lines of processes: look before you hand it on.\n");
  return [o](Session& s) { return run_report(*o, s); };
}

}  // namespace numapin::cli
