#include "cli/help.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/command.h"
#include "render/layout.h"

namespace numapin::cli {

std::string first_screen() {
  std::string text =
      "numapin puts GPU jobs on the right NUMA node: it finds the CPUs and memory\n"
      "beside each GPU, starts programs there, and shows whether they stay there.\n\n"
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
      "  numapin topo                            which GPU is beside which CPUs\n"
      "  numapin run --gpu 0 -- python train.py  start train.py beside GPU 0\n"
      "\n"
      "'numapin COMMAND --help' tells a command's options. Every command takes\n"
      "--machine, to try it on a recorded or built-in machine ('numapin topo\n"
      "--machine list' names those).\n";
  return text;
}

std::string usage_line(const CLI::App& app) {
  std::string text = "usage: " + app.get_name() + " [OPTION...]";
  for (const auto* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const auto name = option->get_name(true) + (option->get_expected_max() > 1 ? "..." : "");
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  if (app.get_prefix_command()) text += " [--] COMMAND [ARG...]";
  return text + "\n";
}

namespace {

std::string option_line(const CLI::Option& option, std::size_t width) {
  constexpr std::size_t kIndent = 26;
  const auto value = option.get_type_size() == 0 || option.get_type_name().empty() ? "" : " " + option.get_type_name();
  auto name = "  " + option.get_name(option.get_positional(), !option.get_positional()) + value;
  if (const auto comma = name.find(','); comma != name.npos) name.insert(comma + 1, " ");
  const std::string rest(kIndent, ' ');
  std::vector<std::string> words;
  for (const auto word : split_words(option.get_description())) words.emplace_back(word);
  if (columns(name) + 2 > kIndent) return name + "\n" + flow(rest, rest, words, " ", width);
  return flow(padded(name, kIndent), rest, words, " ", width);
}

}  // namespace

std::string command_help(const CLI::App& app, int width) {
  const auto columns_of_page = static_cast<std::size_t>(std::min(width, 120));  // longer lines are hard to read
  std::string text = usage_line(app) + "\n" + app.get_description() + "\n";
  std::vector<std::string> groups;
  for (const auto* option : app.get_options()) {
    const auto& group = option->get_group();
    if (!group.empty() && std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  for (const auto& group : groups) {
    text += "\n" + to_lower(group) + "\n";
    for (const auto* option : app.get_options()) {
      if (option->get_group() == group) text += option_line(*option, columns_of_page);
    }
  }
  return text + "\nexamples\n" + app.get_footer();
}

}  // namespace numapin::cli
