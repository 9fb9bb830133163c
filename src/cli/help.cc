#include "cli/help.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"

namespace numapin::cli {

std::string first_screen() {
  std::string text =
      "numapin puts GPU jobs on the right NUMA node: it finds the CPUs and memory beside each GPU, starts programs\n"
      "there, and shows whether they stay there.\n\n"
      "usage: numapin COMMAND [OPTION...]\n";
  std::size_t widest = 0;
  for (const auto& c : commands()) widest = std::max(widest, c.name.size());
  std::string_view job;
  for (const auto& c : commands()) {
    if (c.job != job) text += fmt::format("\n{}\n", c.job);
    job = c.job;
    text += fmt::format("  {:{}}  {}\n", c.name, widest, c.summary);
  }
  text +=
      "\nexamples\n"
      "  numapin topo                                 which GPU is beside which CPUs and memory\n"
      "  numapin run --gpu 0 -- python train.py       start train.py beside GPU 0\n"
      "\n'numapin COMMAND --help' tells a command's options. Every command takes --machine NAME to try it on a\n"
      "recorded or built-in machine ('numapin topo --machine list').\n";
  return text;
}

std::string command_help(const CLI::App& app) {
  const auto formatter = std::make_shared<CLI::Formatter>();
  formatter->column_width(30);
  return formatter->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
}

}  // namespace numapin::cli
