// The table of all checks, and what runs them.
#include "numapin/doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "diagnose/result.h"

namespace numapin {
namespace {

constexpr std::string_view kFamilies[] = {"topology", "binding", "kernel", "pcie", "software", "framework"};

std::vector<Check> all_checks() {
  std::vector<Check> all;
  for (const auto part : {doctor::topology_checks(), doctor::binding_checks(), doctor::kernel_checks(),
                          doctor::pcie_checks(), doctor::software_checks(), doctor::framework_checks()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

Unexpected unknown_name(const std::string& name) {
  return bad_input(fmt::format("check '{}': there is no check or family of that name", name),
                   fmt::format("families: {}; 'numapin doctor --list' names the checks", fmt::join(kFamilies, ", ")));
}

/// A comment of several lines, each behind "# ".
std::string comment(std::string_view text) {
  std::string out;
  for (const auto line : split_lines(text)) out += fmt::format("# {}\n", line);
  return out;
}

}  // namespace

std::string_view to_string(Severity s) {
  switch (s) {
    case Severity::kNote: return "note";
    case Severity::kWarning: return "warning";
    case Severity::kProblem: return "problem";
  }
  return "";
}

std::string_view to_string(CheckResult::State s) {
  switch (s) {
    case CheckResult::State::kFine: return "fine";
    case CheckResult::State::kFound: return "found";
    case CheckResult::State::kUnknown: return "unknown";
    case CheckResult::State::kNotHere: return "not-here";
  }
  return "";
}

std::string_view to_string(Family f) { return kFamilies[static_cast<std::size_t>(f)]; }

std::optional<Family> parse_family(std::string_view word) {
  const auto* it = std::find(std::begin(kFamilies), std::end(kFamilies), word);
  if (it == std::end(kFamilies)) return std::nullopt;
  return static_cast<Family>(it - std::begin(kFamilies));
}

std::string_view to_string(Effect e) {
  switch (e) {
    case Effect::kBreaks: return "breaks jobs";
    case Effect::kLarge: return "large";
    case Effect::kModerate: return "moderate";
    case Effect::kSmall: return "small";
    case Effect::kUnmeasured: return "unmeasured";
  }
  return "";
}

std::span<const Check> checks() {
  static const auto all = all_checks();
  return all;
}

const Check* find_check(std::string_view id) {
  const auto all = checks();
  const auto it = std::find_if(all.begin(), all.end(), [&](const Check& c) { return c.id == id; });
  return it == all.end() ? nullptr : &*it;
}

CheckResult run_check(const Check& check, const Setup& setup) {
  if (setup.recorded && !check.on_recordings) return doctor::unknown("a recorded machine does not tell");
  return check.run(setup);
}

Result<std::vector<Examination>> examine(const Setup& setup, const std::vector<std::string>& names) {
  for (const auto& name : names)
    if (find_check(name) == nullptr && !parse_family(name)) return unknown_name(name);
  std::vector<Examination> list;
  for (const auto& check : checks()) {
    const auto asked = [&](const std::string& name) { return name == check.id || parse_family(name) == check.family; };
    if (names.empty() || std::any_of(names.begin(), names.end(), asked)) list.push_back({&check, run_check(check, setup)});
  }
  return list;
}

namespace {

/// A script has a shell of its own: what it set would be gone at its end.
std::string for_script(const std::string& lines) {
  const bool sets = lines.starts_with("export ") || lines.starts_with("unset ");
  return sets ? doctor::by_hand("in the shell that starts jobs", lines) : lines;
}

}  // namespace

std::string mending_script(const std::vector<Examination>& list, bool undo) {
  const auto text_of = [&](const Check& check, const Finding& f) {
    const auto& lines = undo ? f.undo : f.mend;
    if (lines.empty()) return std::string();
    // Names of processes and values of variables are bytes of any kind: comment() keeps each of their lines a comment.
    return "\n" + comment(std::string(check.id) + (f.about.empty() ? "" : ": " + f.about)) + comment("is: " + f.is) +
           comment("should be: " + f.should) + for_script(lines) + "\n";
  };
  std::vector<std::string> parts;
  for (const auto& [check, result] : list)
    for (const auto& f : result.findings) parts.push_back(text_of(*check, f));
  std::erase(parts, "");
  if (undo) std::reverse(parts.begin(), parts.end());  // what was done last is taken back first
  if (parts.empty()) parts.emplace_back(undo ? "\n# Nothing to take back.\n" : "\n# Nothing to mend.\n");
  return fmt::format("#!/bin/sh\n# {}\n# Read it before you run it; what stands behind # has to be done by hand.\n{}",
                     undo ? "Takes back the mending commands of numapin doctor." : "The mending commands of numapin doctor.",
                     fmt::join(parts, ""));
}

}  // namespace numapin
