#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/nearest.h"
#include "cli/session.h"

namespace numapin::cli {
namespace {

constexpr std::string_view kVersion = NUMAPIN_VERSION;

const Command* find_command(std::string_view name) {
  const auto all = commands();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Command& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

int usage_error(const Session& s, std::string message, std::string hint) {
  return s.report(Error{Error::Kind::kBadInput, std::move(message), std::move(hint)});
}

int unknown_command(const Session& s, const std::string& name) {
  std::vector<std::string> known = {"help"};
  for (const auto& c : commands()) known.emplace_back(c.name);
  const auto meant = nearest(name, known);
  return usage_error(s, fmt::format("unknown command '{}'", name),
                     meant.empty() ? "'numapin help' lists the commands; to start a program: numapin run -- PROGRAM"
                                   : fmt::format("did you mean '{}'?", meant));
}

/// Every "-x" and "--long" that the parser knows.
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& s : option->get_snames()) names.push_back("-" + s);
    for (const auto& l : option->get_lnames()) names.push_back("--" + l);
  }
  return names;
}

std::string hint_for_help(const CLI::App& app) { return fmt::format("see '{} --help'", app.get_name()); }

int unexpected_words(const Session& s, const CLI::App& app, const std::vector<std::string>& words) {
  const auto is_option = [](const std::string& w) { return w.size() > 1 && w.starts_with('-') && w != "--"; };
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  if (option == words.end()) {
    const auto word = std::find_if(words.begin(), words.end(), [](const auto& w) { return w != "--"; });
    return usage_error(s, fmt::format("unexpected argument '{}'", word == words.end() ? "--" : *word),
                       hint_for_help(app));
  }
  const auto name = option->substr(0, option->find('='));
  const auto names = option_names(app);
  const auto meant = nearest(name, names);
  return usage_error(s, fmt::format("unknown option '{}'", name),
                     meant.empty() ? hint_for_help(app) : fmt::format("did you mean '{}'? {}", meant, hint_for_help(app)));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// The parser's English, turned into ours: lower case, one line, the option first.
std::string in_plain_words(const CLI::ParseError& e) {
  std::string text = e.what();
  replace_all(text, "\n", " ");
  const auto name = text.substr(0, text.find(':'));
  if (e.get_name() == "ArgumentMismatch" && text.find("missing") != text.npos) return name + " needs a value";
  if (e.get_name() == "ExcludesError") replace_all(text, " excludes ", " contradicts ");
  if (e.get_name() == "ConversionError" && text.starts_with("Could not convert: ")) {
    text.erase(0, std::string_view("Could not convert: ").size());
    const auto equals = text.find(" = ");
    if (equals != text.npos) return fmt::format("{}: '{}' is not a number", text.substr(0, equals), text.substr(equals + 3));
  }
  return text;
}

/// Options that stand before the command to start belong to us: a misspelt one must not become the program's name.
std::vector<std::string> stray_options(const CLI::App& app) {
  std::vector<std::string> stray;
  for (const auto& word : app.remaining()) {
    if (word == "--" || !word.starts_with('-') || word.size() == 1) break;
    stray.push_back(word);
  }
  return stray;
}

int run_command(Session& s, const Command& command, std::vector<std::string> args) {
  CLI::App app{std::string(command.summary), "numapin " + std::string(command.name)};
  const Runner runner = add_command(app, command);
  std::reverse(args.begin(), args.end());  // the parser eats from the back
  try {
    app.parse(std::move(args));
  } catch (const CLI::CallForHelp&) {
    s.out << command_help(app, s.width);
    return kDone;
  } catch (const CLI::ExtrasError&) {
    return unexpected_words(s, app, app.remaining());
  } catch (const CLI::ParseError& e) {
    return usage_error(s, in_plain_words(e), hint_for_help(app));
  }
  if (const auto stray = stray_options(app); !stray.empty()) return unexpected_words(s, app, stray);
  return runner(s);
}

int run_help(Session& s, const std::vector<std::string>& args) {
  if (args.empty()) {
    s.out << first_screen();
    return kDone;
  }
  const auto* command = find_command(args.front());
  if (command == nullptr) return unknown_command(s, args.front());
  return run_command(s, *command, {"--help"});
}

}  // namespace

Runner add_command(CLI::App& app, const Command& command) {
  app.set_help_flag("-h,--help", "Print this page");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  return command.add(app);
}

std::vector<std::string> command_words(const CLI::App& app) {
  auto words = app.remaining();
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  return words;
}

int run_program(Session& s, std::vector<std::string> args) {
  if (args.empty()) {
    s.out << first_screen();
    return kDone;
  }
  const std::string first = args.front();
  args.erase(args.begin());
  if (first == "--help" || first == "-h" || first == "help") return run_help(s, args);
  if (first == "--version" || first == "-V" || first == "version") {
    s.out << "numapin " << kVersion << '\n';
    return kDone;
  }
  const auto* command = find_command(first);
  const bool for_help = args.size() == 1 && (args[0] == "--help" || args[0] == "-h");
  if (command != nullptr && command->run_words != nullptr && !for_help) return command->run_words(s, args);
  if (command != nullptr) return run_command(s, *command, std::move(args));
  return unknown_command(s, first);
}

}  // namespace numapin::cli
