// numapin compare: the user's own command under several placements in turn, and whether any of them is worth it.
#include "cli/compare.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/duration.h"
#include "base/numbers.h"
#include "base/text.h"
#include "cli/compare_configs.h"
#include "cli/compare_run.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/start_command.h"
#include "cli/write_file.h"
#include "numapin/compare.h"
#include "numapin/visible.h"
#include "os/guard.h"

namespace numapin::cli {
namespace {

struct Options {
  JobOptions job;
  std::string configs = "none,cpu,memory,both", budget, html;
  std::vector<std::string> metrics;
  bool gpus_given = false, cpus_given = false;
  bool higher_is_better = false, json = false, quiet = false, dry_run = false;
  int runs = 0;
  unsigned seed = 1;
  std::vector<std::string> words;
};

constexpr const char* kExamples =
    "  numapin compare --gpu 0 -- python train.py --steps 200      wall time: unbound, CPUs, memory, both\n"
    "  numapin compare --gpu 0 --metric 'speed: ([0-9.]+) samples/sec' --higher-is-better -- python train.py\n"
    "  numapin compare --gpus all --configs none,both,wrong --budget 20m -- python train_ddp.py\n"
    "  numapin compare --gpu 0 --dry-run -- ./server               what would be run\n";

constexpr int kDefaultRuns = 8;
constexpr int kMostRounds = 1000;
constexpr double kNarrow = 0.01;  // intervals within 1 % of the effect: more runs would tell nobody more

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// ---- progress ----------------------------------------------------------------------------------------------------------

/// One line that is written over on a terminal, a line a round elsewhere. With a budget the end is a time, not a number
/// of rounds.
class Progress {
 public:
  Progress(const Session& s, bool quiet, std::size_t configs, int rounds, std::optional<double> budget)
      : session_(s), quiet_(quiet), configs_(static_cast<double>(configs)), rounds_(rounds), budget_(budget) {}

  void before(const std::string& config, int round, std::size_t done_in_round) {
    if (quiet_ || (!session_.color_err && done_in_round != 0)) return;
    const double done = (round + 1) * configs_ + static_cast<double>(done_in_round), all = (rounds_ + 1) * configs_;
    const double spent = since(start_), share = budget_ ? std::min(1.0, spent / *budget_) : done / all;
    std::string left;
    if (budget_) left = fmt::format(", at most {} left", seconds_text(std::max(0.0, *budget_ - spent)));
    else if (done > 0) left = fmt::format(", about {} left", seconds_text(spent / done * (all - done)));
    const auto name = round < 0 ? "warm-up" : fmt::format("round {}", round + 1) + (budget_ ? "" : fmt::format(" of {}", rounds_));
    if (session_.color_err) session_.err << fmt::format("\r\x1b[K{} {}, {}{}", bar(share), name, config, left) << std::flush;
    else session_.err << fmt::format("compare: {}{}\n", name, left) << std::flush;
  }
  void end() const {
    if (!quiet_ && session_.color_err) session_.err << "\r\x1b[K" << std::flush;
  }
  double spent() const { return since(start_); }

 private:
  static std::string bar(double share) {
    constexpr std::size_t kWidth = 20;
    const auto full = static_cast<std::size_t>(share * kWidth);
    return "[" + std::string(full, '#') + std::string(kWidth - full, '.') + "]";
  }

  const Session& session_;
  bool quiet_;
  double configs_;
  int rounds_;
  std::optional<double> budget_;
  Clock::time_point start_ = Clock::now();
};

// ---- all runs ------------------------------------------------------------------------------------------------------------

struct Work {
  const Options& options;
  const Session& session;
  const std::vector<PlannedConfig>& configs;
  std::string file;
  std::optional<double> budget_s;
  int rounds;
  Comparison comparison;
  int told_to_end_by = 0;

  Result<bool> round(int number, const std::vector<int>& order, Progress& progress);
  Result<void> all();
  bool narrow() const;
};

/// False: the user ended it.
Result<bool> Work::round(int number, const std::vector<int>& order, Progress& progress) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& config = configs[static_cast<std::size_t>(order[i])];
    progress.before(config.shown.name, number, i);
    NUMAPIN_TRY(auto result, run_trial({file, options.words, &config.plan, &comparison.metrics}, session));
    if (result.told_to_end_by != 0) {
      told_to_end_by = result.told_to_end_by;
      comparison.stopped = fmt::format("interrupted in round {} of {}: what is known so far", number + 1, rounds);
      return false;
    }
    result.trial.config = order[i];
    result.trial.round = number;
    comparison.trials.push_back(std::move(result.trial));
  }
  return true;
}

/// What the warm-up of all configurations says of a metric; a fault would else be found out only at the end.
Result<void> check_values(const Comparison& c, std::size_t metric) {
  bool went_well = false, found = false, positive = false;
  for (const auto& t : c.trials) {
    if (t.status != 0) continue;
    went_well = true;
    for (const double value : t.values[metric]) found = true, positive |= value > 0;
  }
  const auto name = to_string(c.metrics[metric]);
  if (went_well && !found)
    return fail(Error::Kind::kNotFound, fmt::format("read the metric '{}': the warm-up's output has no match", name),
                "run the command alone and look at what it prints");
  if (found && !positive)
    return fail(Error::Kind::kNotFound, fmt::format("compare by '{}': no number in the warm-up's output is above zero", name),
                "runs are compared by their ratio; take a time or a rate");
  return {};
}

Result<void> check_warm_up(const Comparison& c) {
  for (std::size_t metric = 0; metric < c.metrics.size(); ++metric) NUMAPIN_CHECK_OK(check_values(c, metric));
  if (std::all_of(c.trials.begin(), c.trials.end(), [](const Trial& t) { return t.status != 0; }) && !c.trials.empty()) {
    const auto& t = c.trials.front();
    return fail(Error::Kind::kSystem, fmt::format("run the command: it failed under every configuration, with status {}{}{}", t.status,
                                                  t.last_lines.empty() ? "" : "; its last line: ", t.last_lines.empty() ? "" : t.last_lines.back()),
                "run it alone first");
  }
  return {};
}

bool Work::narrow() const {
  const auto result = evaluate(comparison, 0);
  return std::all_of(result.configs.begin() + 1, result.configs.end(), [](const ConfigResult& r) {
    return r.effect.low && *r.effect.high - *r.effect.low < 2 * kNarrow && r.effect.verdict != PairedEffect::Verdict::kTooFew;
  });
}

Result<void> Work::all() {
  Progress progress(session, options.quiet, configs.size(), rounds, budget_s);
  std::vector<int> in_turn;
  for (int i = 0; i < static_cast<int>(configs.size()); ++i) in_turn.push_back(i);
  NUMAPIN_TRY(const bool warm, round(-1, in_turn, progress));
  if (warm) NUMAPIN_CHECK_OK(check_warm_up(comparison));
  const auto order = balanced_order(static_cast<int>(configs.size()), rounds, options.seed);
  double longest_round = 0;
  for (int number = 0; warm && number < rounds; ++number) {
    const double start = progress.spent();
    if (budget_s && number > 0 && start + longest_round > *budget_s) {
      comparison.stopped = fmt::format("the budget of {} is spent after {} rounds", seconds_text(*budget_s), number);
      break;
    }
    if (budget_s && options.runs == 0 && number >= kDefaultRuns && narrow()) {
      comparison.stopped = fmt::format("the intervals are within {:.0f} % after {} rounds: enough", 100 * kNarrow, number);
      break;
    }
    NUMAPIN_TRY(const bool go_on, round(number, order[static_cast<std::size_t>(number)], progress));
    if (!go_on) break;
    longest_round = std::max(longest_round, progress.spent() - start);
  }
  progress.end();
  return {};
}

int show(const Work& work, const Options& o, Session& s) {
  const auto& c = work.comparison;
  if (o.json) s.out << to_json(c);
  else s.out << compare_text(c, static_cast<std::size_t>(s.width));
  if (!o.html.empty()) {
    if (const auto ok = write_file(o.html, compare_html(c), true); !ok) return s.report(ok.error());
    if (!o.quiet) s.say("wrote " + o.html);
  }
  s.out.flush();
  if (work.told_to_end_by != 0) return 128 + work.told_to_end_by;
  return kDone;
}

int run_all(Work& work, const Options& o, Session& s) {
  if (const auto ok = work.all(); !ok) return s.report(ok.error());
  return show(work, o, s);
}

// ---- options -------------------------------------------------------------------------------------------------------------

Result<std::vector<MetricSpec>> read_metrics(const Options& o) {
  std::vector<MetricSpec> out;
  for (const auto& text : o.metrics) {
    NUMAPIN_TRY(auto metric, parse_metric(text, o.higher_is_better));
    out.push_back(std::move(metric));
  }
  if (out.empty()) out.emplace_back();
  return out;
}

std::vector<std::string> names_of(const Options& o) {
  std::vector<std::string> out;
  for (const auto name : split(o.configs, ',')) out.emplace_back(trim(name));
  return out;
}

/// Nothing said of GPUs: the only one, or on a machine without any a process beside a node of the plan's choice. A
/// process that is alone is compared with the whole node of its GPU, as `run` would place it.
Result<void> settle_job(const Options& given, JobOptions& job, const System& system, const Session& s) {
  if (!given.gpus_given) {
    NUMAPIN_TRY(const auto visible, visible_gpus(system.machine, system.allowance));
    if (visible.gpus.size() > 1)
      return bad_input(fmt::format("{} GPUs are visible: which is the command for?", visible.gpus.size()),
                       "--gpu N compares one process, --gpus all one process per GPU");
    if (visible.gpus.empty()) job.gpus = "none";
  }
  if (given.cpus_given) return {};
  NUMAPIN_TRY(const auto planned, plan_job(job, system, s));
  if (planned.plan.placements.size() == 1) job.cpus = "node";
  return {};
}

int dry_run(const std::vector<PlannedConfig>& configs, int rounds, Session& s) {
  for (const auto& config : configs)
    s.out << fmt::format("{}: {}\n  {}\n", config.shown.name, config.shown.stands_for, config.shown.what);
  s.out << fmt::format("{} rounds of {} runs, and a warm-up of each\n", rounds, configs.size());
  return kDone;
}

int run_compare(Options& o, Session& s) {
  if (o.words.empty()) return s.report({Error::Kind::kBadInput, "no command to compare", "as in: numapin compare --gpu 0 -- python train.py"});
  const auto metrics = read_metrics(o);
  if (!metrics) return s.report(metrics.error());
  const auto budget = o.budget.empty() ? std::nullopt : parse_seconds(o.budget);
  if (!o.budget.empty() && !budget)
    return s.report({Error::Kind::kBadInput, fmt::format("parse --budget '{}': not a span of time", o.budget), "as in --budget 10m, 90s or 1.5h"});
  const auto system = s.system(o.job.machine);
  if (!system) return s.report(system.error());
  if (const auto ok = settle_job(o, o.job, *system, s); !ok) return s.report(ok.error());
  const auto planned = plan_configs(names_of(o), o.job, o.words, *system, s);
  if (!planned) return s.report(planned.error());
  for (const auto& line : planned->left_out) s.say(line);
  const auto& configs = planned->configs;
  if (configs.size() < 2)
    return s.report({Error::Kind::kUnsupported, "compare: every configuration asked for comes to the same placement here",
                     "a machine with one node has others to compare: --configs none,smt-off,l3, or several ranks by --nproc"});
  const int needed = std::max(kDefaultRuns, pairs_needed(static_cast<int>(configs.size()) - 1));
  const int rounds = o.runs > 0 ? o.runs : budget ? kMostRounds : needed;
  if (o.dry_run) return dry_run(configs, rounds, s);
  if (!o.job.machine.empty())
    return s.report({Error::Kind::kBadInput, "--machine names another machine: nothing can be run on it", "add --dry-run"});
  const auto file = find_command(s, o.words[0]);
  if (!file) return fail_to_start(s, file.error());
  Work work{o, s, configs, *file, budget, rounds, {}};
  work.comparison.command = o.words;
  work.comparison.metrics = *metrics;
  work.comparison.seed = o.seed;
  for (const auto& config : configs) work.comparison.configs.push_back(config.shown);
  s.out.flush();
  s.err.flush();
  const auto status = run_guarded([&] { return run_all(work, o, s); });
  return status ? *status : s.report(status.error());
}

}  // namespace

Runner add_compare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.prefix_command();
  constexpr const char* kWhat = "what is compared";
  std::vector<std::string> names(config_names().begin(), config_names().end());
  app.add_option("--configs", o->configs, "Placements to try, the first is what the others are compared with: " + join(names, ", ") +
                                              " (default none,cpu,memory,both)")
      ->type_name("LIST")->group(kWhat);
  app.add_option("--metric", o->metrics, "wall (default), a regular expression with a group over the output, or json:KEY; "
                                         "several: the first decides; 'higher:' or 'lower:' before one says what is better")
      ->type_name("METRIC")->group(kWhat)->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--higher-is-better", o->higher_is_better, "Metrics that do not say it themselves (but wall) are rates, not times")->group(kWhat);
  app.add_option("--runs", o->runs, "Runs of each configuration (default: as many as a verdict needs, at least 8)")
      ->check(number_from(1, kMostRounds))->type_name("N")->group(kWhat);
  app.add_option("--budget", o->budget, "Go on until the intervals are within 1 % or this time is spent: 90s, 10m, 1h")
      ->type_name("TIME")->group(kWhat);
  app.add_option("--seed", o->seed, "Of the order of the runs (1)")->type_name("N")->group(kWhat);
  add_job_options(app, o->job);
  constexpr const char* kOutput = "what comes out";
  add_json_flag(app, o->json)->group(kOutput);
  app.add_option("--html", o->html, "Also write a page with every run as a dot")->type_name("FILE")->group(kOutput);
  app.add_flag("-q,--quiet", o->quiet, "No progress")->group(kOutput);
  app.add_flag("--dry-run", o->dry_run, "Show what would be run, run nothing")->group(kOutput);
  set_examples(app, kExamples);
  return [&app, o](Session& s) {
    o->words = command_words(app);
    o->gpus_given = app.count("--gpu") + app.count("--gpus") + app.count("--nproc") > 0;
    o->cpus_given = app.count("--cpus") > 0;
    return run_compare(*o, s);
  };
}

}  // namespace numapin::cli
