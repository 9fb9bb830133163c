#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "render/layout.h"
#include "render/watch.h"

namespace numapin {
namespace {

// "!!  41250 python3 train.py  ..." : all columns but the command, with a blank between any two
constexpr std::size_t kFixedColumns = 64, kBarColumns = 10;

/// One byte a column, nothing that moves the cursor: names come from other people's programs.
std::string plain(std::string_view text) {
  std::string out = clean(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return out;
}

std::string cut(std::string text, std::size_t width) {
  if (columns(text) <= width) return text;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size() && seen < width; ++seen)
    do ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  text.resize(end);
  return text;
}

std::string whole(const std::optional<double>& v) { return v ? fmt::format("{:.0f}", *v) : "-"; }

/// "35", "1.2k", "7.4M": pages or moves a second
std::string count_text(const std::optional<double>& v) {
  if (!v) return "-";
  if (*v < 10 && *v > 0) return fmt::format("{:.1f}", *v);
  if (*v < 1e3) return fmt::format("{:.0f}", *v);
  if (*v < 1e6) return fmt::format("{:.1f}k", *v / 1e3);
  return fmt::format("{:.1f}M", *v / 1e6);
}

std::string bandwidth_text(const std::optional<double>& bytes) {
  if (!bytes) return "-";
  return *bytes >= 1e9 ? fmt::format("{:.1f} GB/s", *bytes / 1e9) : fmt::format("{:.0f} MB/s", *bytes / 1e6);
}

std::string bar(const ProcessRow& p, bool unicode) {
  const auto local = p.memory_local_bytes.value_or(0), remote = p.memory_remote_bytes.value_or(0);
  if (local + remote == 0) return std::string(kBarColumns + 2, ' ');
  auto far = static_cast<std::size_t>(static_cast<double>(remote) / static_cast<double>(local + remote) * kBarColumns + 0.5);
  if (remote > 0 && far == 0 && remote * 50 > local) far = 1;  // 2 % are seen
  std::string out = "[";
  for (std::size_t i = 0; i < kBarColumns; ++i) {
    const bool is_far = i >= kBarColumns - far;
    out += unicode ? (is_far ? "░" : "█") : (is_far ? "!" : "#");
  }
  return out + "]";
}

std::string memory_text(const ProcessRow& p) {
  if (!p.memory_local_bytes) return "-";
  return (p.memory_sampled ? "~" : "") + size_text(*p.memory_local_bytes + *p.memory_remote_bytes);
}

std::string remote_share(const ProcessRow& p) {
  const auto total = p.memory_local_bytes.value_or(0) + p.memory_remote_bytes.value_or(0);
  if (total == 0) return "";
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(*p.memory_remote_bytes) / static_cast<double>(total));
}

std::string_view mark_of(const ProcessRow& p) {
  if (p.state == "wrong") return "!!";
  if (p.state == "loose") return "! ";
  if (p.state == "unknown") return "? ";
  return "  ";
}

Look look_of(const ProcessRow& p) {
  if (p.state == "wrong") return Look::kWrong;
  if (p.state == "loose" || p.state == "unknown") return Look::kLoose;
  return Look::kPlain;
}

double cpu_of(const ProcessRow& p) {
  return p.cpu_local_percent.value_or(0) + p.cpu_remote_percent.value_or(0) + p.cpu_unplaced_percent.value_or(0);
}

int badness(const ProcessRow& p) {
  return p.state == "wrong" ? 3 : p.state == "loose" ? 2 : p.state == "unknown" ? 1 : 0;
}

/// Larger comes first.
double rank(const ProcessRow& p, WatchSort sort) {
  switch (sort) {
    case WatchSort::kPlace: return badness(p);
    case WatchSort::kCpu: return cpu_of(p);
    case WatchSort::kRemote: return static_cast<double>(p.memory_remote_bytes.value_or(0));
    case WatchSort::kMemory: return static_cast<double>(p.memory_local_bytes.value_or(0) + p.memory_remote_bytes.value_or(0));
    case WatchSort::kMigrations: return p.migrations_per_s.value_or(0);
    case WatchSort::kPid: return 0;
  }
  return 0;
}

std::string command_cells(const ProcessRow& p) {
  return (p.user == p.pid ? "" : "+ ") + plain(p.command.empty() ? p.name : p.command);
}

struct Body {
  const WatchFrame& frame;
  const WatchView& view;
  const TextStyle& style;
  std::size_t width;
  std::vector<ScreenLine> lines;

  std::size_t command_width() const { return width > kFixedColumns + 8 ? width - kFixedColumns : 8; }
  void add(std::string text, Look look = Look::kPlain) { lines.push_back({cut(std::move(text), width), look, {-1, -1}, false}); }
  std::vector<const ProcessRow*> processes_of(int gpu) const;
  void add_node(const NodeRow& node);
  void add_gpu(const GpuRow& gpu);
  void add_process(int gpu, const ProcessRow& p);
  void add_threads(const ProcessRow& p);
  void add_block(const std::string& nodes_first);
};

void Body::add_node(const NodeRow& node) {
  auto text = fmt::format("node {}  free {}", node.id, node.free_bytes ? size_text(*node.free_bytes) : "-");
  if (node.total_bytes) text += " of " + size_text(*node.total_bytes);
  text += fmt::format("  hit {}/s  miss {}/s  foreign {}/s", count_text(node.hit_per_s), count_text(node.miss_per_s), count_text(node.foreign_per_s));
  if (const auto cpus = CpuSet::parse(node.cpulist); cpus && !cpus->empty()) text += "  CPUs " + short_list(*cpus);
  add(std::move(text), Look::kHead);
}

void Body::add_gpu(const GpuRow& gpu) {
  auto text = fmt::format("  GPU {} {}", gpu.index, gpu.address);
  if (gpu.nodes.find_first_of("-,") != gpu.nodes.npos) text += fmt::format(" (nodes {})", gpu.nodes);
  const auto rates = gpu.busy_percent || gpu.rx_bytes_per_s
                         ? fmt::format("  {} % busy  rx {}  tx {}", gpu.busy_percent ? std::to_string(*gpu.busy_percent) : "-",
                                       bandwidth_text(gpu.rx_bytes_per_s), bandwidth_text(gpu.tx_bytes_per_s))
                         : std::string();
  const auto room = width > columns(text) + rates.size() + 1 ? width - columns(text) - rates.size() - 1 : 0;
  if (!gpu.model.empty() && room > 4) text += " " + cut(plain(gpu.model), room);
  add(text + rates, Look::kHead);
  const auto processes = processes_of(gpu.index);
  if (processes.empty()) add("           no process", Look::kFaint);
  for (const auto* p : processes) add_process(gpu.index, *p);
}

void Body::add_process(int gpu, const ProcessRow& p) {
  const auto command = padded(cut(command_cells(p), command_width()), command_width());
  auto text = fmt::format("{} {:>7} {} {:>6} {:>6} {:>8} {} {:>4} {:>6} {:>4}", mark_of(p), p.pid, command, whole(p.cpu_local_percent),
                          whole(p.cpu_remote_percent), memory_text(p), bar(p, style.unicode), remote_share(p),
                          count_text(p.migrations_per_s), p.threads.size());
  add(std::move(text), look_of(p));
  lines.back().row = {gpu, p.pid};
  lines.back().selected = view.selected == lines.back().row;
  if (look_of(p) != Look::kPlain) add("           " + plain(p.verdict), look_of(p));
  if (view.expanded.contains(p.pid)) add_threads(p);
}

void Body::add_threads(const ProcessRow& p) {
  for (const auto& t : p.threads) {
    const auto where = !t.local ? "" : *t.local ? "local" : "remote";
    add(fmt::format("   {:>7}   {} {:>6} {:>6} CPU {:<4} {}", t.tid, padded(cut(plain(t.name), command_width() - 2), command_width() - 2),
                    whole(t.cpu_percent), where, t.last_cpu, t.migrations_per_s ? count_text(t.migrations_per_s) + " moves/s" : ""),
        t.local.value_or(true) || t.cpu_percent.value_or(0) < 1 ? Look::kFaint : Look::kWrong);
  }
}

/// Each process that uses the GPU, and below it those that descend from it.
std::vector<const ProcessRow*> Body::processes_of(int gpu) const {
  std::vector<const ProcessRow*> heads;
  std::multimap<int, const ProcessRow*> below;
  for (const auto& p : frame.processes) {
    if (std::find(p.gpus.begin(), p.gpus.end(), gpu) == p.gpus.end()) continue;
    if (p.user == p.pid) heads.push_back(&p);
    else below.emplace(p.user, &p);
  }
  const auto before = [&](const ProcessRow* a, const ProcessRow* b) {
    const double x = rank(*a, view.sort), y = rank(*b, view.sort);
    if (x != y) return x > y;
    if (view.sort == WatchSort::kPlace && cpu_of(*a) != cpu_of(*b)) return cpu_of(*a) > cpu_of(*b);
    return a->pid < b->pid;
  };
  std::sort(heads.begin(), heads.end(), before);
  std::vector<const ProcessRow*> out;
  for (const auto* head : heads) {
    out.push_back(head);
    const auto first = out.size();
    for (auto [it, end] = below.equal_range(head->pid); it != end; ++it) out.push_back(it->second);
    std::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), before);
  }
  return out;
}

/// The GPUs whose first node is this one; "" those of which none is known.
void Body::add_block(const std::string& first_node) {
  for (const auto& gpu : frame.gpus)
    if (gpu.nodes.substr(0, gpu.nodes.find_first_of("-,")) == first_node) add_gpu(gpu);
}

std::string title(const WatchFrame& frame, const WatchView& view) {
  const auto count = [&](std::string_view state) {
    return std::count_if(frame.processes.begin(), frame.processes.end(), [&](const auto& p) { return p.state == state; });
  };
  auto text = fmt::format("numapin watch  {}  {}  each {:g} s  {} process{}", plain(frame.hostname), view.clock, view.interval_s,
                          frame.processes.size(), frame.processes.size() == 1 ? "" : "es");
  if (const auto wrong = count("wrong"); wrong > 0) text += fmt::format(", {} wrong", wrong);
  if (const auto loose = count("loose"); loose > 0) text += fmt::format(", {} loose", loose);
  return text + (view.paused ? "  PAUSED" : "");
}

std::string headings(std::size_t command_width) {
  return fmt::format("   {:>7} {} {:>6} {:>6} {:>8} {:<12} {:>4} {:>6} {:>4}", "PID", padded("COMMAND", command_width), "CPU%", "REMOTE", "MEMORY",
                     "LOCAL REMOTE", "", "MIGR/s", "THR");
}

std::vector<std::string> help_lines() {
  return {"up down j k   choose a process          PgUp PgDn Home End   scroll",
          "t Enter       its threads               T   all threads",
          "b             rebind it (asks first)    s   sort by the next column",
          "+ -           slower, faster            p   pause",
          "q             quit                      ?   this help",
          "",
          "CPU% and REMOTE are of threads near the GPU and away from it; 100 is one CPU.",
          "The bar is the process's own memory: # near the GPU, ! away; ~ estimated.",
          "hit, miss, foreign: pages a second, as numastat counts them.",
          "!! wrong place, ! may be moved away, ? not known; the line below says why."};
}

std::string footer(const WatchView& view) {
  if (!view.message.empty()) return view.message;
  return fmt::format("q quit  s sort: {}  t threads  b rebind  p pause  + - interval  ? help", to_string(view.sort));
}

/// The part of `body` that fits, so that the selected line is in it.
std::vector<ScreenLine> scrolled(std::vector<ScreenLine> body, WatchView& view, std::size_t room) {
  const auto at = std::find_if(body.begin(), body.end(), [](const auto& l) { return l.selected; });
  if (at != body.end()) {
    const auto line = static_cast<std::size_t>(at - body.begin());
    if (line < view.top) view.top = line;
    // its verdict stands below it
    if (line + 2 > view.top + room) view.top = line + 2 - std::min(line + 2, room);
  }
  view.top = std::min(view.top, body.size() > room ? body.size() - room : 0);
  body.erase(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(view.top));
  body.resize(room);
  return body;
}

}  // namespace

std::vector<ScreenLine> watch_body(const WatchFrame& frame, const WatchView& view, const TextStyle& style) {
  Body body{frame, view, style, static_cast<std::size_t>(std::max(style.width, 20)), {}};
  for (const auto& node : frame.nodes) {
    body.add_node(node);
    body.add_block(std::to_string(node.id));
  }
  const auto unplaced = std::any_of(frame.gpus.begin(), frame.gpus.end(), [](const auto& g) { return g.nodes.empty(); });
  if (unplaced) body.add("node unknown", Look::kHead);
  body.add_block("");
  if (frame.gpus.empty()) body.add("no GPU was found: numapin topo shows the machine", Look::kFaint);
  for (const auto& note : frame.notes) body.add(note, Look::kFaint);
  return std::move(body.lines);
}

std::vector<ScreenLine> watch_screen(const WatchFrame& frame, WatchView& view, const TextStyle& style, int height) {
  const auto width = static_cast<std::size_t>(std::max(style.width, 20));
  auto body = watch_body(frame, view, style);
  if (std::none_of(body.begin(), body.end(), [](const auto& l) { return l.selected; })) {
    const auto first = std::find_if(body.begin(), body.end(), [](const auto& l) { return l.row.second > 0; });
    view.selected = first == body.end() ? std::pair{-1, -1} : first->row;
    if (first != body.end()) first->selected = true;
  }
  std::vector<ScreenLine> below;
  if (view.help)
    for (auto& line : help_lines()) below.push_back({cut(std::move(line), width), Look::kPlain, {-1, -1}, false});
  for (const auto& line : view.question) below.push_back({cut(plain(line), width), Look::kTitle, {-1, -1}, false});
  if (view.question.empty()) below.push_back({cut(plain(footer(view)), width), Look::kTitle, {-1, -1}, false});
  const auto rows = static_cast<std::size_t>(std::max(height, 4));
  if (below.size() > rows - 3) below.erase(below.begin(), below.end() - static_cast<std::ptrdiff_t>(rows - 3));
  std::vector<ScreenLine> out = {{cut(title(frame, view), width), Look::kTitle, {-1, -1}, false},
                                 {cut(headings(Body{frame, view, style, width, {}}.command_width()), width), Look::kFaint, {-1, -1}, false}};
  for (auto& line : scrolled(std::move(body), view, rows - 2 - below.size())) out.push_back(std::move(line));
  for (auto& line : below) out.push_back(std::move(line));
  return out;
}

std::string watch_text(const WatchFrame& frame, const WatchView& view, const TextStyle& style) {
  const auto color_of = [](Look look) {
    return look == Look::kWrong ? "31" : look == Look::kLoose ? "33" : look == Look::kHead ? "1" : "";
  };
  const auto width = static_cast<std::size_t>(std::max(style.width, 20));
  std::string out = cut(headings(Body{frame, view, style, width, {}}.command_width()), width) + "\n";
  for (const auto& line : watch_body(frame, view, style)) {
    const std::string_view code = color_of(line.look);
    out += style.color && !code.empty() ? fmt::format("\x1b[{}m{}\x1b[0m\n", code, line.text) : line.text + "\n";
  }
  return out;
}

}  // namespace numapin
