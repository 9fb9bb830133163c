// watch as a user sees it: in a terminal of tmux, on processes of this machine and on a replay.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

/// A terminal of its own server, so that nobody's tmux is touched.
class Tmux {
 public:
  Tmux(int columns, int lines) : name_("numapin-" + std::to_string(getpid())) {
    run("-f /dev/null new-session -d -x " + std::to_string(columns) + " -y " + std::to_string(lines) + " 'PS1=ready: exec sh'");
    type("PATH=" + numapin_program().parent_path().string() + ":$PATH");
  }
  ~Tmux() { run("kill-server"); }
  Ran run(const std::string& command) const { return run_shell("tmux -L " + name_ + " " + command); }
  void keys(const std::string& keys) const { run("send-keys " + keys); }
  void type(const std::string& line) const { run("send-keys -l -- '" + line + "'"), keys("Enter"); }
  std::string screen() const { return run("capture-pane -p").out; }
  /// The screen, as soon as `text` is on it (or is not); after ten seconds whatever is there.
  std::string wait_for(const std::string& text, bool there = true) const {
    std::string seen;
    for (int i = 0; i < 100; ++i) {
      seen = screen();
      if ((seen.find(text) != seen.npos) == there) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return seen;
  }
  int pane_pid() const { return std::atoi(run("display-message -p '#{pane_pid}'").out.c_str()); }

 private:
  std::string name_;
};

class Watch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_shell("command -v tmux").status != 0) GTEST_SKIP() << "needs tmux";
    dir_ = fs::temp_directory_path() / ("numapin-watch-" + std::to_string(getpid()));
    fs::create_directories(dir_);
  }
  void TearDown() override {
    for (const pid_t pid : children_) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
    fs::remove_all(dir_);
  }

  /// A process that burns CPU and that the driver's library says uses GPU 0.
  pid_t start_gpu_process() {
    const pid_t pid = fork();
    if (pid == 0) {
      volatile unsigned long n = 0;
      while (true) n = n + 1;
    }
    children_.push_back(pid);
    nlohmann::json gpus = {{{"address", "0000:18:00.0"}, {"device", "2330"}, {"uuid", "GPU-a"}, {"name", "NVIDIA H100 80GB HBM3"}, {"minor", 0},
                            {"cpus", {0}}, {"nodes", {0}}, {"busy", 98}, {"rx_bytes", 1}, {"tx_bytes", 1}, {"processes", {{{"pid", pid}}}}}};
    std::ofstream(dir_ / "nvml.json") << nlohmann::json({{"driver", "550"}, {"gpus", gpus}});
    return pid;
  }
  std::string with_driver() const {
    return "LD_LIBRARY_PATH=" FAKES_DIR " NUMAPIN_FAKE_NVML=" + (dir_ / "nvml.json").string() + " ";
  }
  /// Two nodes, two GPUs; process 4242 is wrong, 4300 right; in the second frame 4242 is gone.
  std::string replay() const {
    const auto thread = nlohmann::json{{"tid", 4242}, {"name", "python3"}, {"last_cpu", 5}, {"local", false}, {"cpu_percent", 97.0}, {"migrations_per_s", 2.0}};
    const auto process = [&](int pid, int gpu, const char* state) {
      return nlohmann::json{{"pid", pid}, {"user_pid", pid}, {"name", "python3"}, {"command", "python3 train.py"}, {"gpus", {gpu}}, {"state", state},
                            {"verdict", "cpus on node 1, GPU 0 on node 0"}, {"mend", nullptr}, {"cpu_local_percent", 1.0}, {"cpu_remote_percent", 97.0},
                            {"cpu_unplaced_percent", 0.0}, {"memory_local_bytes", 1ULL << 30}, {"memory_remote_bytes", 1ULL << 30},
                            {"memory_age_s", 1.0}, {"memory_sampled", false}, {"migrations_per_s", 2.0}, {"threads", {thread}}};
    };
    const auto node = [](int id) {
      return nlohmann::json{{"node", id}, {"cpulist", id == 0 ? "0-3" : "4-7"}, {"total_bytes", 1ULL << 36}, {"free_bytes", 1ULL << 35},
                            {"hit_pages_per_s", 1234.0}, {"miss_pages_per_s", 7.0}, {"foreign_pages_per_s", nullptr}};
    };
    const auto gpu = [](int index) {
      return nlohmann::json{{"index", index}, {"address", "0000:18:00.0"}, {"model", "H100"}, {"numa_nodes", {index}},
                            {"busy_percent", 93}, {"rx_bytes_per_s", 12.5e9}, {"tx_bytes_per_s", 2e6}};
    };
    nlohmann::json frame = {{"schema", "numapin/watch/1"}, {"unix_time", 1700000000.0}, {"seconds", 1.0}, {"hostname", "trainer"},
                            {"nodes", {node(0), node(1)}}, {"gpus", {gpu(0), gpu(1)}},
                            {"processes", {process(4242, 0, "wrong"), process(4300, 1, "ok")}}, {"notes", nlohmann::json::array()}};
    const auto path = (dir_ / "log.jsonl").string();
    std::ofstream file(path);
    file << frame << '\n';
    frame["processes"].erase(0);
    file << frame << '\n';
    return path;
  }

  fs::path dir_;
  std::vector<pid_t> children_;
};

TEST_F(Watch, ShowsALiveProcessUnderItsGpu) {
  const auto pid = std::to_string(start_gpu_process());
  const Tmux tmux(80, 24);
  tmux.type(with_driver() + "numapin watch --interval 0.2");
  const auto seen = tmux.wait_for("98 % busy");
  EXPECT_THAT(seen, AllOf(HasSubstr("node 0  free"), HasSubstr("GPU 0 0000:18:00.0"), HasSubstr(" " + pid + " "), HasSubstr("q quit")));
  tmux.keys("t");
  EXPECT_THAT(tmux.wait_for("CPU 1").find("local CPU") == std::string::npos ? tmux.wait_for("CPU 0") : tmux.screen(), HasSubstr("local CPU"));
  tmux.keys("b");
  EXPECT_THAT(tmux.wait_for("process " + pid + " ("), HasSubstr("process " + pid + " (")) << "the plan, or that there is nothing to do";
  tmux.keys("n");
  tmux.keys("q");
  EXPECT_THAT(tmux.wait_for("q quit", false), AllOf(Not(HasSubstr("q quit")), HasSubstr("ready:")));
}

TEST_F(Watch, ReplaysWithoutColourAt80x24AndObeysKeys) {
  const auto log = replay();
  const Tmux tmux(80, 24);
  tmux.type("NO_COLOR=1 numapin watch --interval 60 --replay " + log);
  auto seen = tmux.wait_for("sort: place");
  EXPECT_THAT(seen, AllOf(HasSubstr("!!    4242 python3 train.py"), HasSubstr("cpus on node 1, GPU 0 on node 0"), HasSubstr("hit 1.2k/s  miss 7.0/s  foreign -/s"),
                          HasSubstr("93 % busy  rx 12.5 GB/s  tx 2 MB/s"), HasSubstr("1 wrong")));
  EXPECT_EQ(tmux.run("capture-pane -p -e").out.find("\x1b[31m"), std::string::npos);
  tmux.keys("s");
  EXPECT_THAT(tmux.wait_for("sort: cpu"), HasSubstr("sort: cpu"));
  tmux.keys("t");
  EXPECT_THAT(tmux.wait_for("remote CPU 5"), HasSubstr("remote CPU 5"));
  tmux.keys("b");
  EXPECT_THAT(tmux.wait_for("a replay"), HasSubstr("a replay: there is no process to rebind"));
  tmux.keys("?");
  EXPECT_THAT(tmux.wait_for("rebind it (asks first)"), HasSubstr("rebind it (asks first)"));
  tmux.keys("q");
  EXPECT_THAT(tmux.wait_for("ready:"), Not(HasSubstr("sort:")));
}

TEST_F(Watch, GoesOnToTheNextFrameAndFollowsTheSizeOfTheTerminal) {
  const auto log = replay();
  const Tmux tmux(80, 24);
  tmux.type("numapin watch --interval 0.2 --replay " + log);
  EXPECT_THAT(tmux.wait_for("(end)"), AllOf(HasSubstr("4300"), Not(HasSubstr("4242"))));
  tmux.run("resize-window -x 120 -y 12");
  EXPECT_THAT(tmux.wait_for("THR"), HasSubstr("4300"));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto wide = tmux.screen();
  EXPECT_THAT(wide, HasSubstr("q quit"));
  EXPECT_EQ(std::count(wide.begin(), wide.end(), '\n'), 12);
  tmux.run("resize-window -x 40 -y 8");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_THAT(tmux.screen(), HasSubstr("q quit"));
}

/// The program's process below the shell.
int child_of(int pid) { return std::atoi(run_shell("cat /proc/" + std::to_string(pid) + "/task/*/children").out.c_str()); }

TEST_F(Watch, EverySignalThatCanBeCaughtLeavesTheTerminalAsItWas) {
  const auto log = replay();
  const Tmux tmux(80, 24);
  tmux.type("stty -a | tr \" \" \"\\n\" | md5sum");
  tmux.wait_for("  -");
  const auto before = run_shell("stty -a -F " + tmux.run("display-message -p '#{pane_tty}'").out).out;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV}) {
    tmux.type("clear; numapin watch --interval 60 --replay " + log);
    tmux.wait_for("q quit");
    ASSERT_EQ(tmux.run("display-message -p '#{alternate_on}'").out, "1\n");
    kill(child_of(tmux.pane_pid()), signal);
    tmux.type("echo status=$?");
    EXPECT_THAT(tmux.wait_for("status=" + std::to_string(128 + signal)), HasSubstr("status=" + std::to_string(128 + signal)));
    EXPECT_EQ(tmux.run("display-message -p '#{alternate_on} #{cursor_flag}'").out, "0 1\n") << "signal " << signal;
    const auto after = run_shell("stty -a -F " + tmux.run("display-message -p '#{pane_tty}'").out).out;
    EXPECT_EQ(after, before) << "signal " << signal;
  }
}

TEST_F(Watch, ComesBackAfterAStop) {
  const auto log = replay();
  const Tmux tmux(80, 24);
  tmux.type("set -m; numapin watch --interval 60 --replay " + log);
  tmux.wait_for("q quit");
  tmux.keys("C-z");
  EXPECT_THAT(tmux.wait_for("q quit", false), HasSubstr("ready:"));
  tmux.type("fg");
  EXPECT_THAT(tmux.wait_for("q quit"), HasSubstr("4242"));
}

TEST_F(Watch, OnceIsATableAndJsonALineAnInterval) {
  const auto pid = std::to_string(start_gpu_process());
  const auto once = run_shell(with_driver() + "numapin watch --once --interval 0.5");
  EXPECT_EQ(once.status, 0) << once.err;
  EXPECT_THAT(once.out, AllOf(HasSubstr(" " + pid + " "), HasSubstr("98 % busy"), Not(HasSubstr("\x1b"))));
  const auto lines = run_shell(with_driver() + "numapin watch --json --interval 1 --count 2");
  ASSERT_EQ(lines.status, 0) << lines.err;
  std::istringstream text(lines.out);
  int count = 0;
  double cpu = 0;
  for (std::string line; std::getline(text, line); ++count) {
    const auto j = nlohmann::json::parse(line);
    EXPECT_EQ(j.at("schema"), "numapin/watch/1");
    const auto& p = j.at("processes").at(0);
    EXPECT_EQ(std::to_string(p.at("pid").get<int>()), pid);
    cpu += p.at("cpu_local_percent").get<double>();
    EXPECT_EQ(p.at("cpu_remote_percent"), 0.0);
    EXPECT_NEAR(j.at("seconds").get<double>(), 1, 5);
  }
  EXPECT_GT(cpu, 0) << "it does nothing but run";
  EXPECT_EQ(count, 2);
}

TEST_F(Watch, WhatMakesNoSenseIsOneLineAndAHint) {
  std::ofstream(dir_ / "bad") << "{\"schema\":\"numapin/topo/1\"}\n";
  for (const auto& [command, says] : std::vector<std::pair<std::string, std::string>>{{"watch", "must be a terminal"},
                                                                                     {"watch --interval 0", "--interval"},
                                                                                     {"watch --once --sort size", "--sort"},
                                                                                     {"watch --replay /nonexistent --once", "/nonexistent"},
                                                                                     {"watch --once --replay " + (dir_ / "bad").string(), "line 1"}}) {
    const auto ran = run_shell("numapin " + command);
    EXPECT_NE(ran.status, 0) << command;
    EXPECT_THAT(ran.err, AllOf(HasSubstr(says), HasSubstr("\n  hint: "))) << command;
  }
  EXPECT_THAT(run_shell("TERM=nonsense script -qec 'numapin watch' /dev/null").out, HasSubstr("the terminal 'nonsense' is not known"));
}

}  // namespace
}  // namespace numapin::test
