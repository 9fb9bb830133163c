// numapin doctor: is this machine, container or job set up right, and what to type to mend it.
#include "cli/doctor.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/doctor_setup.h"
#include "cli/measured_file.h"
#include "cli/options.h"
#include "cli/session.h"
#include "render/doctor.h"

namespace numapin::cli {
namespace {

struct Options {
  std::vector<std::string> words;  ///< process numbers, or a command
  std::string gpu, machine, measured, explain;
  std::vector<std::string> checks;
  bool list = false, json = false, script = false, undo_script = false, all = false;
};

constexpr const char* kExamples =
    "  numapin doctor                         this machine, and what starts here\n"
    "  numapin doctor 4242                    a running job\n"
    "  numapin doctor -- numactl -N 0 ./job   a command before it is started\n"
    "  numapin doctor --check kernel --script commands that mend what is found\n"
    "\n"
    "Nothing is ever changed. Exit status 0: nothing to mend; 1: problems or\nwarnings; 2: wrong usage.\n";

/// The words before "--" are process numbers; a first word that is none starts a command.
Result<DoctorTargets> read_targets(const Options& o) {
  DoctorTargets t;
  t.gpu = o.gpu;
  for (const auto& word : o.words) {
    if (!t.command.empty()) {
      t.command.push_back(word);
    } else if (const auto pid = parse_number<int>(word); pid && *pid > 0) {
      t.pids.push_back(*pid);
    } else {
      t.command.push_back(word);
    }
  }
  if (!t.pids.empty() && !t.command.empty())
    return bad_input(fmt::format("check processes and the command '{}' at once", t.command.front()), "give one or the other");
  if (!o.machine.empty() && !o.words.empty())
    return bad_input("check a process or a command on a recorded machine: it knows none",
                     "numapin run --dry-run --machine tells what would be bound there");
  return t;
}

Result<Setup> look(const Options& o, const Session& session, std::vector<std::string>& notes) {
  NUMAPIN_TRY(const auto targets, read_targets(o));
  Setup setup;
  if (o.machine.empty()) {
    NUMAPIN_TRY(setup, read_setup(targets, session, notes));
  } else {
    setup.recorded = true;
    NUMAPIN_TRY(setup.system, session.system(o.machine));
  }
  NUMAPIN_TRY(setup.measured, read_measured(o.measured, setup.system));
  return setup;
}

bool is_to_mend(const Examination& e) {
  return std::any_of(e.result.findings.begin(), e.result.findings.end(),
                     [](const Finding& f) { return f.severity != Severity::kNote; });
}

/// Files of /proc/sys and /sys are read-only in a container.
bool needs_the_host(const std::vector<Examination>& list, const Setup& setup) {
  const bool inside = std::any_of(setup.subjects.begin(), setup.subjects.end(), [](const Subject& s) {
    return s.kind == Subject::Kind::kShell && s.in_container.value_or(false);
  });
  return inside && std::any_of(list.begin(), list.end(), [](const Examination& e) {
           return e.check->family == Family::kKernel && std::any_of(e.result.findings.begin(), e.result.findings.end(),
                                                                    [](const Finding& f) { return !f.mend.empty(); });
         });
}

void say_what_is_left(const Options& o, const Setup& setup, const std::vector<Examination>& list,
                      const std::vector<std::string>& notes, Session& session) {
  for (const auto& note : notes) session.say(note);
  if (needs_the_host(list, setup)) session.say("this is a container: kernel settings are the host's, and are mended there");
  if (o.words.empty() && !setup.gpu_jobs.empty())
    session.say(fmt::format("{} process(es) use GPUs: 'numapin inspect' judges them, 'numapin doctor PID' one of them",
                            setup.gpu_jobs.size()));
}

DoctorStyle style_of(const Options& o, const Session& session) {
  DoctorStyle style;
  style.width = session.width;
  style.unicode = session.unicode_out;
  style.color = session.color_out;
  style.all = o.all;
  return style;
}

int explain(const Options& o, Session& session) {
  const auto* check = find_check(o.explain);
  if (check == nullptr)
    return session.report({Error::Kind::kBadInput, fmt::format("explain '{}': there is no check of that name", o.explain),
                           "numapin doctor --list names all"});
  session.out << explain_text(*check, style_of(o, session));
  return kDone;
}

int run(const Options& o, Session& session) {
  if (o.list) {
    session.out << checks_text(style_of(o, session));
    return kDone;
  }
  if (!o.explain.empty()) return explain(o, session);
  std::vector<std::string> names, notes;
  for (const auto& words : o.checks)
    for (const auto name : split(words, ',')) names.emplace_back(name);
  const Setup nothing;
  if (const auto known = examine(nothing, names); !known) return session.report(known.error());  // before minutes of reading
  const auto setup = look(o, session, notes);
  if (!setup) return session.report(setup.error());
  const auto list = *examine(*setup, names);
  if (o.json)
    session.out << doctor_json(list, *setup, notes);
  else if (o.script || o.undo_script)
    session.out << mending_script(list, o.undo_script);
  else
    session.out << doctor_text(list, style_of(o, session));
  session.out << std::flush;
  if (!o.json && !o.script && !o.undo_script) say_what_is_left(o, *setup, list, notes, session);
  return std::any_of(list.begin(), list.end(), is_to_mend) ? kFailed : kDone;
}

}  // namespace

Runner add_doctor(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option(
         "target", o->words,
         "Processes to look at instead of this shell; or, after --, a command that would be started from here (it is not)")
      ->type_name("PID|-- COMMAND...");
  app.add_option("--gpu", o->gpu, "The GPUs that the job is meant for; default: those it uses, or that are visible")
      ->type_name("GPUS");
  app.add_option("--check", o->checks, "Only these checks or families (commas, or several times)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  add_measured_option(app, o->measured);
  auto* list = app.add_flag("--list", o->list, "Name every check");
  auto* explain_option = app.add_option("--explain", o->explain, "What one check looks at, and why")->type_name("CHECK");
  app.add_flag("--all", o->all, "Also the checks that found nothing, and what is unknown");
  auto* json = add_json_flag(app, o->json);
  auto* script = app.add_flag("--script", o->script, "The mending commands as a commented shell script")->excludes(json);
  app.add_flag("--undo-script", o->undo_script, "The commands that take those back")->excludes(json)->excludes(script);
  list->excludes(json)->excludes(explain_option);
  add_machine_option(app, o->machine);
  set_examples(app, kExamples);
  return [o](Session& session) { return run(*o, session); };
}

}  // namespace numapin::cli
