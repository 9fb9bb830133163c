#include "cli/pages.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/options.h"

namespace numapin::cli {
namespace {

bool has_name(const OptionPage& o, std::initializer_list<std::string_view> names) {
  return std::any_of(o.names.begin(), o.names.end(),
                     [&](const std::string& n) { return std::find(names.begin(), names.end(), n) != names.end(); });
}

Offer offer_of(const OptionPage& o) {
  if (!o.words.empty()) return Offer::kWords;
  if (has_name(o, {"--machine"})) return Offer::kMachine;
  if (has_name(o, {"--gpu", "--gpus"})) return Offer::kGpus;
  if (has_name(o, {"--check", "--explain"}) && !o.value.empty()) return Offer::kCheck;
  if (o.value.starts_with("PID")) return Offer::kProcess;
  if (o.value == "DIR") return Offer::kDirectory;
  if (o.value.starts_with("FILE") || has_name(o, {"FILE"})) return Offer::kFile;
  return Offer::kNothing;
}

OptionPage page_of(CLI::Option& option) {
  OptionPage o;
  o.is_argument = option.get_positional();
  o.required = option.get_required();
  if (o.is_argument) o.names.push_back(option.get_name(true));
  for (const auto& s : option.get_snames()) o.names.push_back("-" + s);
  for (const auto& l : option.get_lnames()) o.names.push_back("--" + l);
  if (option.get_type_size() != 0) o.value = option.get_type_name();
  o.help = option.get_description();
  o.group = option.get_group();
  o.words = words_allowed(option);
  o.offer = offer_of(o);
  return o;
}

void read_footer(CommandPage& page, std::string_view footer) {
  for (const auto line : split_lines(footer)) {
    if (line.starts_with("  ")) page.examples.emplace_back(line.substr(2));
    else if (!trim(line).empty()) page.remarks.emplace_back(line);
  }
}

CommandPage page_of(const Command& command) {
  CLI::App app{std::string(command.summary), "numapin " + std::string(command.name)};
  (void)add_command(app, command);
  CommandPage page;
  page.name = command.name;
  page.summary = command.summary;
  page.usage = usage_line(app);
  for (auto* option : app.get_options([](const CLI::Option* o) { return !o->get_group().empty(); })) page.options.push_back(page_of(*option));
  read_footer(page, app.get_footer());
  page.starts_program = app.get_prefix_command();
  return page;
}

}  // namespace

std::vector<CommandPage> command_pages() {
  std::vector<CommandPage> pages;
  for (const auto& command : commands()) pages.push_back(page_of(command));
  return pages;
}

}  // namespace numapin::cli
