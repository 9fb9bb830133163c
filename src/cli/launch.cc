// numapin launch: one bound process per GPU, supervised.
#include "cli/launch.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>

#include "base/text.h"
#include "base/units.h"
#include "cli/job_options.h"
#include "cli/options.h"
#include "cli/rank_memory.h"
#include "cli/session.h"
#include "cli/start_command.h"
#include "os/guard.h"
#include "os/launcher.h"
#include "plan/ranks.h"
#include "render/layout.h"
#include "render/plan_text.h"

namespace numapin::cli {
namespace {

struct Options {
  JobOptions job;
  World world;
  double grace_seconds = 10;
  std::string log_dir;
  int restarts = 0;
  bool strict = false, quiet = false, dry_run = false, explain = false;
  std::vector<std::string> words;
};

constexpr const char* kExamples =
    "  numapin launch --gpus all -- python train_ddp.py      one bound process per GPU, as torchrun would number them\n"
    "  numapin launch --gpus 4 --memory bind -- ./server     on the four best-connected idle GPUs, strict memory\n"
    "  numapin launch --nproc 8 -- ./solver                  without GPUs: eight processes shared out over the nodes\n"
    "  numapin launch --machine dual-a100 --dry-run -- true  what it would do there\n";

// ---- one free port ---------------------------------------------------------------------------------------------------

/// A TCP port that nobody listens on now. Another program may take it before rank 0 does; torchrun has the same gap.
Result<int> free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool found = fd >= 0 && bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!found) return fail(Error::Kind::kSystem, std::string("find a free port: ") + std::strerror(error), "name one: --master-port");
  return ntohs(address.sin_port);
}

constexpr int kTorchrunPort = 29500;  // torchrun's default: every host of a job must take the same one

Result<void> settle_world(Options& o) {
  if (o.world.node_rank >= o.world.nodes)
    return bad_input(fmt::format("--node-rank {} is not below --nnodes {}", o.world.node_rank, o.world.nodes), "ranks of hosts count from 0");
  if (o.world.nodes > 1 && o.world.master_address == World{}.master_address)
    return bad_input(fmt::format("--nnodes {} needs --master-addr", o.world.nodes), "the address of the host with --node-rank 0");
  if (o.world.master_port == 0 && o.world.nodes > 1) o.world.master_port = kTorchrunPort;
  if (o.world.master_port == 0) {
    NUMAPIN_TRY(o.world.master_port, free_port());
  }
  o.world.run_id = fmt::format("{}-{}", getpid(), std::chrono::system_clock::now().time_since_epoch().count());
  return {};
}

// ---- text --------------------------------------------------------------------------------------------------------------

/// "[0] " of each rank, as wide as the widest.
std::vector<std::string> prefixes(std::size_t count, bool color) {
  constexpr std::array kColors = {36, 33, 32, 35, 34, 31, 96, 93};
  const auto width = std::to_string(count - 1).size();
  std::vector<std::string> out;
  for (std::size_t rank = 0; rank < count; ++rank) {
    const auto text = fmt::format("[{:>{}}] ", rank, width);
    out.push_back(color ? fmt::format("\x1b[{}m{}\x1b[0m", kColors[rank % kColors.size()], text) : text);
  }
  return out;
}

std::string end_text(const RankReport& r) {
  if (r.ended_by_us) return r.signal != 0 ? "ended by us" : fmt::format("ended by us, {}", r.status);
  if (r.signal != 0) return fmt::format("signal {} ({})", r.signal, strsignal(r.signal));
  return fmt::format("exit {}", r.status);
}

using SeenMemory = std::vector<std::optional<RankMemory>>;  // by rank

std::string elsewhere_text(const std::optional<RankMemory>& m) {
  return m ? fmt::format("{} of {}", size_text(m->elsewhere_bytes), size_text(m->total_bytes)) : "?";
}

void show_summary(const Session& s, const Plan& plan, const LaunchReport& report, const SeenMemory& memory) {
  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> titles = {"RANK", "GPU", "CPUS", "END", "WALL", "CPU TIME", "MAX RSS"};
  if (!memory.empty()) titles.emplace_back("ON OTHER NODES");
  for (std::size_t i = 0; i < report.ranks.size(); ++i) {
    const auto& r = report.ranks[i];
    const auto& p = plan.placements[i];
    rows.push_back({{{std::to_string(i)}},
                    {{gpu_numbers(p)}},
                    {list_pieces(p.cpus)},
                    {{end_text(r)}},
                    {{fmt::format("{:.2f} s", r.wall.count())}},
                    {{fmt::format("{:.2f} s", (r.user + r.system).count())}},
                    {{size_text(r.max_rss_bytes)}}});
    if (!memory.empty()) rows.back().push_back({{elsewhere_text(memory[i])}});
  }
  s.err << table(titles, rows, static_cast<std::size_t>(s.width));
}

void tell_failure(const Session& s, const LaunchReport& report, const Options& o) {
  if (!report.first_failed) return;
  const auto& r = report.ranks[static_cast<std::size_t>(*report.first_failed)];
  if (r.start_error) {
    s.report(*r.start_error);
    return;
  }
  s.warn(fmt::format("rank {} failed first: {}; the others were ended", *report.first_failed, end_text(r)));
  if (!o.log_dir.empty()) s.err << fmt::format("  its output: {}/rank-{}.err\n", o.log_dir, *report.first_failed);
  else if (!r.last_lines.empty()) {
    s.err << "  its last lines:\n";
    for (const auto& line : r.last_lines) s.err << "    " << line << '\n';
  }
}

// ---- work --------------------------------------------------------------------------------------------------------------

LaunchSpec make_spec(const Options& o, const Session& s, const Plan& plan, std::string file, int restart) {
  LaunchSpec spec;
  spec.file = std::move(file);
  spec.words = o.words;
  spec.strict = o.strict;
  spec.grace = std::chrono::milliseconds(static_cast<long>(o.grace_seconds * 1000));
  spec.log_dir = o.log_dir;
  World world = o.world;
  world.restart = restart;
  world.own_gpu = o.job.visible == "own";
  for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
    RankSpec r;
    r.actions = actions(plan.placements[rank]);
    for (auto& [name, value] : rank_environment(plan, static_cast<int>(rank), world, s.env)) r.actions.push_back(SetEnv{name, value});
    // Lines are to come as they are written; a pipe would make Python keep them back.
    if (!s.env.contains("PYTHONUNBUFFERED")) r.actions.push_back(SetEnv{"PYTHONUNBUFFERED", "1"});
    spec.ranks.push_back(std::move(r));
  }
  return spec;
}

LaunchEvents make_events(const Options& o, const Session& s, std::size_t count) {
  LaunchEvents events;
  events.line = [out = prefixes(count, s.color_out), err = prefixes(count, s.color_err)](
                    int rank, OutputStream stream, std::string_view line, std::string& text) {
    text += (stream == OutputStream::kOut ? out : err)[static_cast<std::size_t>(rank)];
    text += line;
    text += '\n';
  };
  auto said = std::make_shared<std::vector<std::string>>();
  events.loss = [&s, said, quiet = o.quiet](int rank, const Error& e, std::string& text) {
    if (quiet || std::find(said->begin(), said->end(), e.message) != said->end()) return;
    said->push_back(e.message);
    text += s.warning(fmt::format("rank {}: {}{}{}{}", rank, e.message, e.hint.empty() ? "" : " (", e.hint, e.hint.empty() ? "" : ")"));
  };
  return events;
}

/// Where a rank's memory is can be seen only while it lives, so it is looked at now and then; on one node there is
/// nothing to see.
void watch_memory(const Session& s, const Plan& plan, SeenMemory& seen, LaunchEvents& events) {
  seen.resize(plan.placements.size());
  events.look = [&](const std::vector<int>& pids) { return look_at_memory(s.live, plan, pids); };
  events.seen = [&](const std::string& text) { take_memory(text, seen); };
}

/// In the guarded child: all attempts; the exit status.
int supervise(const Options& o, const Session& s, const PlannedJob& planned, const std::string& file) {
  const auto& plan = planned.plan;
  const bool several_nodes = planned.system.machine.nodes.size() > 1;
  for (int restart = 0;; ++restart) {
    const auto spec = make_spec(o, s, plan, file, restart);
    auto events = make_events(o, s, plan.placements.size());
    SeenMemory memory;
    if (several_nodes && !o.quiet) watch_memory(s, plan, memory, events);
    const auto report = launch(spec, events);
    if (!report) return s.report(report.error());
    if (report->output_error) s.report(*report->output_error);
    tell_failure(s, *report, o);
    if (!o.quiet) show_summary(s, plan, *report, memory);
    s.out.flush();
    s.err.flush();
    const bool started = report->first_failed && !report->ranks[static_cast<std::size_t>(*report->first_failed)].start_error;
    if (!started || report->told_to_end_by != 0 || restart >= o.restarts) return report->status();
    s.say(fmt::format("restart {} of {}", restart + 1, o.restarts));
  }
}

Result<void> make_log_dir(const std::string& dir) {
  if (dir.empty() || mkdir(dir.c_str(), 0777) == 0 || errno == EEXIST) return {};
  return fail(Error::Kind::kSystem, fmt::format("make {}: {}", dir, std::strerror(errno)), "give --log-dir a place that can be written");
}

int run_launch(Options& o, Session& s) {
  if (o.words.empty() && !o.dry_run)
    return s.report({Error::Kind::kBadInput, "no command to launch", "as in: numapin launch --gpus all -- python train.py"});
  if (!o.job.machine.empty() && !o.dry_run)
    return s.report({Error::Kind::kBadInput, "--machine names another machine: nothing can be started on it", "add --dry-run"});
  const auto planned = plan_job(o.job, s);
  if (!planned) return s.report(planned.error());
  warn_once(s, planned->plan);
  if (o.dry_run) return s.out << text_of(*planned, o.explain), kDone;
  const auto file = find_command(s, o.words[0]);
  if (!file) return fail_to_start(s, file.error());
  if (const auto ok = settle_world(o); !ok) return s.report(ok.error());
  if (const auto ok = make_log_dir(o.log_dir); !ok) return s.report(ok.error());
  if (!o.quiet) s.err << text_of(*planned, o.explain);
  s.out.flush();
  s.err.flush();
  const auto status = run_guarded([&] { return supervise(o, s, *planned, *file); });
  return status ? *status : s.report(status.error());
}

}  // namespace

Runner add_launch(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.prefix_command();
  add_job_options(app, o->job);
  constexpr const char* kHosts = "several hosts, started by hand on each";
  app.add_option("--nnodes", o->world.nodes, "Hosts of the job")->check(number_from(1))->type_name("N")->group(kHosts);
  app.add_option("--node-rank", o->world.node_rank, "Number of this host, from 0")
      ->check(number_from(0))->type_name("N")->group(kHosts);
  app.add_option("--master-addr", o->world.master_address, "Address of host 0")->type_name("HOST")->group(kHosts);
  app.add_option("--master-port", o->world.master_port, "Default: a free port; with --nnodes 29500")
      ->check(number_from(1, 65535))->type_name("PORT")->group(kHosts);
  constexpr const char* kCare = "supervision";
  app.add_option("--grace", o->grace_seconds, "Seconds between SIGTERM and SIGKILL (10)")
      ->check(CLI::Range(0.0, 1e9).description(""))->type_name("SECONDS")->group(kCare);
  app.add_option("--log-dir", o->log_dir, "Write rank-N.out and rank-N.err there instead of lines here")
      ->type_name("DIR")->group(kCare);
  app.add_option("--restart", o->restarts, "Start all again up to N times after a failure")
      ->check(number_from(0))->type_name("N")->group(kCare);
  app.add_flag("--strict", o->strict, "A binding that the kernel refuses ends the launch")->group(kCare);
  app.add_flag("-q,--quiet", o->quiet, "No plan, no summary")->group(kCare);
  app.add_flag("--dry-run", o->dry_run, "Show the plan, start nothing")->group(kCare);
  app.add_flag("--explain", o->explain, "With the reason for every decision")->group(kCare);
  set_examples(app, kExamples);
  return [&app, o](Session& s) {
    o->words = command_words(app);
    return run_launch(*o, s);
  };
}

}  // namespace numapin::cli
