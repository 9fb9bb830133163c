#include "render/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "render/layout.h"

namespace numapin {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

ProcessRow row(int pid, std::vector<int> gpus, std::string state, double cpu) {
  ProcessRow p;
  p.pid = p.user = pid;
  p.name = "python3";
  p.command = "python3 train.py --with=a-very-long-command-line-that-does-not-fit-anywhere";
  p.gpus = std::move(gpus);
  p.cpu_local_percent = cpu;
  p.cpu_remote_percent = 0;
  p.cpu_unplaced_percent = 0;
  p.memory_local_bytes = std::uint64_t{12} << 30;
  p.memory_remote_bytes = std::uint64_t{4} << 30;
  p.memory_age_s = 1.5;
  p.migrations_per_s = 2500;
  p.state = std::move(state);
  p.verdict = p.state == "ok" ? "ok: cpus and memory on node 0" : "cpus on node 1, GPU 0 on node 0; 25 % of 16 GiB on node 1";
  p.mend = p.state == "ok" ? "" : "numapin rebind " + std::to_string(pid);
  p.threads = {{pid, "python3", 0, true, 90.0, 0.0}, {pid + 1, "pt_data_worker", 5, false, 10.0, std::nullopt}};
  return p;
}

WatchFrame frame() {
  WatchFrame f;
  f.unix_time = 1700000000.5;
  f.seconds = 1;
  f.hostname = "trainer";
  f.nodes = {{0, "0-23,48-71", std::uint64_t{125} << 30, std::uint64_t{61} << 30, 1234.0, 0.0, 35.0},
             {1, "24-47,72-95", std::uint64_t{125} << 30, std::nullopt, std::nullopt, std::nullopt, std::nullopt}};
  f.gpus = {{0, "0000:17:00.0", "NVIDIA H100 80GB HBM3", "0", 98, 12.4e9, 3.1e8}, {1, "0000:97:00.0", "", "1", std::nullopt, std::nullopt, std::nullopt},
            {2, "", "", "", std::nullopt, std::nullopt, std::nullopt}};
  f.processes = {row(100, {0}, "ok", 300), row(200, {0}, "wrong", 20), row(300, {1}, "loose", 5)};
  f.processes.push_back(row(201, {0}, "ok", 1));
  f.processes.back().user = 200;
  f.notes = {"2 process(es) cannot be looked into (root with CAP_SYS_PTRACE sees all)"};
  return f;
}

std::vector<int> order(const WatchFrame& f, WatchSort sort) {
  WatchView view;
  view.sort = sort;
  std::vector<int> pids;
  for (const auto& line : watch_body(f, view, {}))
    if (line.row.second > 0) pids.push_back(line.row.second);
  return pids;
}

TEST(WatchBody, HasABlockANodeWithItsGpusAndTheirProcesses) {
  const auto text = watch_text(frame(), {}, {});
  const auto at = [&](const char* part) { return text.find(part); };
  EXPECT_LT(at("node 0  free"), at("GPU 0 0000:17:00.0"));
  EXPECT_LT(at("GPU 0 0000:17:00.0"), at("    200 "));
  EXPECT_LT(at("    100 "), at("node 1  free"));
  EXPECT_LT(at("node 1  free"), at("!      300 "));
  EXPECT_LT(at("!      300 "), at("node unknown"));
  EXPECT_LT(at("node unknown"), at("GPU 2"));
  EXPECT_THAT(text, HasSubstr("98 % busy  rx 12.4 GB/s  tx 310 MB/s"));
  EXPECT_THAT(text, HasSubstr("free 61 GiB of 125 GiB  hit 1.2k/s  miss 0/s  foreign 35/s"));
  EXPECT_THAT(text, HasSubstr("[#######!!!]  25%   2.5k"));
}

TEST(WatchBody, NoLineIsWiderThanTheScreen) {
  WatchView view;
  view.expanded = {100, 200};
  view.help = true;
  for (const int width : {20, 40, 80, 132, 300})
    for (const bool unicode : {false, true}) {
      for (const auto& line : watch_screen(frame(), view, {width, unicode, false}, 30)) EXPECT_LE(columns(line.text), static_cast<std::size_t>(width)) << line.text;
    }
}

TEST(WatchBody, WrongPlacesStandOutInTextAloneAndSayWhy) {
  const auto text = watch_text(frame(), {}, {});
  EXPECT_THAT(text, HasSubstr("\n!!     200 "));
  EXPECT_THAT(text, HasSubstr("\n!      300 "));
  EXPECT_THAT(text, HasSubstr("cpus on node 1, GPU 0 on node 0"));
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

TEST(WatchBody, SortsWithinAGpuAndKeepsWorkersBelowTheirProcess) {
  const auto f = frame();
  EXPECT_EQ(order(f, WatchSort::kPlace), (std::vector<int>{200, 201, 100, 300}));
  EXPECT_EQ(order(f, WatchSort::kCpu), (std::vector<int>{100, 200, 201, 300}));
  EXPECT_EQ(order(f, WatchSort::kPid), (std::vector<int>{100, 200, 201, 300}));
}

TEST(WatchBody, AProcessOfTwoGpusStandsUnderBoth) {
  auto f = frame();
  f.processes[0].gpus = {0, 1};
  EXPECT_THAT(order(f, WatchSort::kPid), ::testing::ElementsAre(100, 200, 201, 100, 300));
}

TEST(WatchBody, NamesCannotDriveTheTerminal) {
  auto f = frame();
  f.processes[0].command = "evil\x1b[2J\n\xff\xfe name";
  f.processes[0].threads[0].name = "\x1b]0;x\a";
  WatchView view;
  view.expanded = {100};
  for (const auto& line : watch_body(f, view, {.width = 200}))
    for (const char c : line.text) EXPECT_TRUE(c >= ' ' && c <= '~') << line.text;
}

TEST(WatchScreen, HasExactlyTheLinesOfTheTerminal) {
  for (const int height : {4, 5, 10, 24, 60}) {
    WatchView view;
    view.help = height > 20;
    EXPECT_EQ(watch_screen(frame(), view, {}, height).size(), static_cast<std::size_t>(height));
  }
}

TEST(WatchScreen, SelectsTheFirstProcessAndScrollsWithTheSelection) {
  auto f = frame();
  for (int pid = 1000; pid < 1100; ++pid) f.processes.push_back(row(pid, {1}, "ok", 0));
  WatchView view;
  (void)watch_screen(f, view, {}, 24);
  EXPECT_EQ(view.selected, (std::pair{0, 200}));
  EXPECT_EQ(press(view, f, kKeyEnd), WatchWish::kNone);
  const auto lines = watch_screen(f, view, {}, 24);
  EXPECT_EQ(view.selected.second, 1099);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const auto& l) { return l.selected; }));
  press(view, f, kKeyHome);
  EXPECT_THAT(watch_screen(f, view, {}, 24)[2].text, HasSubstr("node 0"));
}

TEST(WatchScreen, ASelectedProcessThatEndsGivesWayToAnother) {
  auto f = frame();
  WatchView view;
  view.selected = {0, 100};
  (void)watch_screen(f, view, {}, 24);
  EXPECT_EQ(view.selected.second, 100);
  f.processes.erase(f.processes.begin());
  (void)watch_screen(f, view, {}, 24);
  EXPECT_EQ(view.selected.second, 200);
}

TEST(WatchScreen, ThreadsOfAnExpandedProcessAreLines) {
  WatchView view;
  view.selected = {0, 200};
  press(view, frame(), 't');
  const auto text = watch_text(frame(), view, {});
  EXPECT_THAT(text, HasSubstr("pt_data_worker"));
  EXPECT_THAT(text, HasSubstr("remote CPU 5"));
  press(view, frame(), kKeyEnter);
  EXPECT_THAT(watch_text(frame(), view, {}), ::testing::Not(HasSubstr("pt_data_worker")));
}

TEST(WatchKeys, RebindsOnlyAfterAYes) {
  WatchView view;
  view.selected = {0, 200};
  EXPECT_EQ(press(view, frame(), 'b'), WatchWish::kPlanRebind);
  view.question = {"process 200 (python3): would move 33 threads", "Rebind process 200? y: yes, any other key: no"};
  view.asked = 200;
  auto yes = view;
  EXPECT_EQ(press(view, frame(), 'q'), WatchWish::kNone) << "any other key is a no, not a quit";
  EXPECT_EQ(view.asked, 0);
  EXPECT_EQ(view.message, "not rebound");
  EXPECT_EQ(press(yes, frame(), 'y'), WatchWish::kRebind);
  EXPECT_EQ(yes.asked, 200);
  EXPECT_TRUE(yes.question.empty());
  EXPECT_EQ(press(yes, frame(), 'q'), WatchWish::kQuit);
}

TEST(WatchKeys, SortRunsThroughAllAndIntervalStaysInBounds) {
  WatchView view;
  for (int i = 0; i < 6; ++i) press(view, frame(), 's');
  EXPECT_EQ(view.sort, WatchSort::kPlace);
  for (int i = 0; i < 20; ++i) press(view, frame(), '+');
  EXPECT_EQ(view.interval_s, 60);
  for (int i = 0; i < 20; ++i) press(view, frame(), '-');
  EXPECT_EQ(view.interval_s, 0.1);
  view.interval_s = 3;
  press(view, frame(), '-');
  EXPECT_EQ(view.interval_s, 2);
}

TEST(WatchKeys, NothingToChooseIsNoCrash) {
  WatchView view;
  for (const int key : {static_cast<int>('b'), static_cast<int>('t'), static_cast<int>('T'), static_cast<int>(kKeyDown), static_cast<int>(kKeyEnd), 0, -5})
    EXPECT_EQ(press(view, {}, key), WatchWish::kNone);
  EXPECT_EQ(watch_screen({}, view, {}, 24).size(), 24U);
}

TEST(WatchJson, ALineIsReadBackAsItWas) {
  const auto f = frame();
  const auto line = to_json_line(f);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto back = parse_watch_line(line, "x");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, f);
}

TEST(WatchJson, WhatIsNoSuchLineIsSaid) {
  for (const char* text : {"", "{}", "[]", "{\"schema\":\"numapin/watch/1\"}", "{\"schema\":\"numapin/topo/1\"}", "nonsense"}) {
    const auto back = parse_watch_line(text, "log line 3");
    ASSERT_FALSE(back) << text;
    EXPECT_THAT(back.error().message, HasSubstr("log line 3"));
  }
}

}  // namespace
}  // namespace numapin
