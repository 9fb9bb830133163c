#include "render/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "render/layout.h"

namespace numapin {
namespace {

using State = CheckResult::State;

// ---- marks ----------------------------------------------------------------------------------------------------------

enum class Mark { kFine, kNote, kWarning, kProblem, kUnknown, kNotHere };

Mark mark_of(Severity s) {
  return s == Severity::kProblem ? Mark::kProblem : s == Severity::kWarning ? Mark::kWarning : Mark::kNote;
}

Mark mark_of(const CheckResult& r) {
  switch (r.state) {
    case State::kFine: return Mark::kFine;
    case State::kFound: return mark_of(r.findings.front().severity);
    case State::kUnknown: return Mark::kUnknown;
    case State::kNotHere: return Mark::kNotHere;
  }
  return Mark::kUnknown;
}

std::string text_of(Mark m, const TextStyle& style) {
  struct Look { const char *unicode, *ascii, *color; };
  static const std::map<Mark, Look> kLooks = {{Mark::kFine, {"✓", "ok", "32"}},   {Mark::kNote, {"·", "- ", "36"}},
                                              {Mark::kWarning, {"!", "! ", "33"}}, {Mark::kProblem, {"✗", "!!", "31"}},
                                              {Mark::kUnknown, {"?", "? ", "33"}}, {Mark::kNotHere, {" ", "  ", "0"}}};
  const auto& look = kLooks.at(m);
  const std::string mark = style.unicode ? look.unicode : look.ascii;
  return style.color && m != Mark::kNotHere ? fmt::format("\x1b[{}m{}\x1b[0m", look.color, mark) : mark;
}

std::string bold(std::string_view text, const TextStyle& style) {
  return style.color ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

// ---- paragraphs -----------------------------------------------------------------------------------------------------

std::size_t width_of(const TextStyle& style) { return static_cast<std::size_t>(std::clamp(style.width, 40, 120)); }

/// "label text" with the text hanging beside the label.
std::string paragraph(std::string_view label, std::string_view text, std::size_t indent, std::size_t width) {
  std::vector<std::string> words;
  for (const auto word : split_words(text)) words.push_back(clean(word));
  return flow(padded(label, indent), std::string(indent, ' '), words, " ", width);
}

/// Shell lines as they are: a broken line is another command.
std::string commands(std::string_view label, std::string_view text, std::size_t indent) {
  std::string out;
  for (const auto line : split_lines(text)) {
    out += padded(out.empty() ? label : "", indent) + clean(line) + "\n";
  }
  return out;
}

// ---- the three parts ------------------------------------------------------------------------------------------------

std::string count_text(int count, std::string_view thing) { return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s"); }

std::string answer(const std::vector<Examination>& list, const TextStyle& style) {
  std::map<Mark, int> found;
  std::map<State, int> states;
  for (const auto& [check, result] : list) {
    ++states[result.state];
    for (const auto& f : result.findings) ++found[mark_of(f.severity)];
  }
  std::vector<std::string> words;
  if (const int n = found[Mark::kProblem]) words.push_back(count_text(n, "problem"));
  if (const int n = found[Mark::kWarning]) words.push_back(count_text(n, "warning"));
  const bool well = words.empty();
  if (const int n = found[Mark::kNote]) words.push_back(count_text(n, "note"));
  const auto mark = text_of(well ? Mark::kFine : found[Mark::kProblem] ? Mark::kProblem : Mark::kWarning, style);
  const auto first = well ? "nothing to mend" + (words.empty() ? "" : ", " + join(words, ", ")) : join(words, ", ");
  return fmt::format("{} {}  ({}: {} fine, {} unknown, {} not here)\n", mark, bold(first, style),
                     count_text(static_cast<int>(list.size()), "check"), states[State::kFine], states[State::kUnknown], states[State::kNotHere]);
}

constexpr std::size_t kIdWidth = 20;

std::string check_line(const Examination& e, const TextStyle& style) {
  const auto head = fmt::format("  {} {}", text_of(mark_of(e.result), style), padded(e.check->id, kIdWidth));
  const std::size_t indent = 2 + (style.unicode ? 1 : 2) + 1 + kIdWidth;
  auto words = e.result.line;
  if (e.result.findings.size() > 1) words += fmt::format(" (and {} more)", e.result.findings.size() - 1);
  // The mark may hold colour, which takes no column: wrap behind blanks, then put the head in their place.
  const auto lines = paragraph("", words, indent, width_of(style));
  return head + lines.substr(std::min(indent, lines.size()));
}

std::string family_block(const std::vector<Examination>& list, Family family, const DoctorStyle& style) {
  Mark worst = Mark::kNotHere;
  std::map<State, int> states;
  std::string lines;
  const auto rank = [](Mark m) { return m == Mark::kNotHere ? 0 : m == Mark::kUnknown ? 1 : m == Mark::kFine ? 2 : m == Mark::kNote ? 3 : m == Mark::kWarning ? 4 : 5; };
  for (const auto& e : list) {
    if (e.check->family != family) continue;
    ++states[e.result.state];
    const auto mark = mark_of(e.result);
    if (rank(mark) > rank(worst)) worst = mark;
    if (e.result.state == State::kFound || style.all) lines += check_line(e, style);
  }
  if (states.empty()) return "";
  std::vector<std::string> counts;
  if (const int n = states[State::kFound]) counts.push_back(fmt::format("{} found something", n));
  if (const int n = states[State::kFine]) counts.push_back(fmt::format("{} fine", n));
  if (const int n = states[State::kUnknown]) counts.push_back(fmt::format("{} unknown", n));
  if (counts.empty()) counts.emplace_back("nothing of the kind here");
  return fmt::format("{} {}{}\n", text_of(worst, style), padded(to_string(family), kIdWidth + 2), join(counts, ", ")) + lines;
}

std::string finding_text(const Check& check, const Finding& f, const TextStyle& style) {
  constexpr std::size_t kIndent = 14;
  const auto width = width_of(style);
  std::string out = fmt::format("\n{} {}{}\n", text_of(mark_of(f.severity), style), bold(check.id, style), f.about.empty() ? "" : ": " + clean(f.about));
  out += paragraph("  is", f.is, kIndent, width) + paragraph("  should be", f.should, kIndent, width);
  if (f.severity != Severity::kNote || !f.mend.empty()) out += paragraph("  costs", check.cost, kIndent, width);
  if (!f.mend.empty()) out += commands("  mend it", f.mend, kIndent);
  if (!f.undo.empty()) out += commands("  undo", f.undo, kIndent);
  return out;
}

constexpr Family kAllFamilies[] = {Family::kTopology, Family::kBinding, Family::kKernel, Family::kPcie, Family::kSoftware, Family::kFramework};

std::string_view effect_words(Effect e) {
  switch (e) {
    case Effect::kBreaks: return "Jobs fail";
    case Effect::kLarge: return "Large effect expected";
    case Effect::kModerate: return "Moderate effect expected";
    case Effect::kSmall: return "Small effect expected";
    case Effect::kUnmeasured: return "Worth knowing";
  }
  return "";
}

}  // namespace

std::string doctor_text(const std::vector<Examination>& list, const DoctorStyle& style) {
  std::string out = answer(list, style) + "\n";
  for (const auto family : kAllFamilies) out += family_block(list, family, style);
  std::vector<std::pair<const Check*, const Finding*>> found;
  for (const auto& [check, result] : list)
    for (const auto& f : result.findings) found.emplace_back(check, &f);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.second->severity > b.second->severity; });
  for (const auto& [check, finding] : found) out += finding_text(*check, *finding, style);
  const auto gaps = std::count_if(list.begin(), list.end(), [](const auto& e) { return e.result.state == State::kUnknown; });
  if (gaps > 0 && !style.all) out += fmt::format("\n{} {} a fact: --all says which\n", count_text(static_cast<int>(gaps), "check"), gaps == 1 ? "lacks" : "lack");
  return out;
}

std::string checks_text(const TextStyle& style) {
  std::string out;
  for (const auto family : kAllFamilies) {
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", bold(to_string(family), style));
    for (const auto& check : checks())
      if (check.family == family) out += fmt::format("  {} {}\n", padded(check.id, kIdWidth), check.title);
  }
  return out;
}

std::string explain_text(const Check& check, const TextStyle& style) {
  constexpr std::size_t kIndent = 12;
  const auto width = width_of(style);
  std::string out = fmt::format("{}: {}\n\n", bold(check.id, style), check.title);
  for (const auto line : split_lines(check.explanation)) out += paragraph("", line, 0, width) + "\n";
  out += paragraph("costs", check.cost, kIndent, width);
  out += fmt::format("{}{}\n", padded("effect", kIndent), to_string(check.effect));
  out += fmt::format("{}{}, at worst a {}\n", padded("family", kIndent), to_string(check.family), to_string(check.severity));
  return out + fmt::format("{}{}\n", padded("on records", kIndent), check.on_recordings ? "yes: --machine has what it needs" : "no: it needs the live system");
}

std::string checks_page() {
  std::string out =
      "# The checks of `numapin doctor`\n\n"
      "Made from the program's own table, ordered by the effect to be expected where the thing is wrong; `numapin doctor --explain ID` prints\n"
      "the same. *Unmeasured* means that no figure with a source is known. Figures are from other people's machines: measure before you\n"
      "count on them. `project#N` is an issue or pull request on GitHub.\n";
  for (const auto effect : {Effect::kBreaks, Effect::kLarge, Effect::kModerate, Effect::kSmall, Effect::kUnmeasured}) {
    out += fmt::format("\n## {}\n\n| check | what holds when all is well | cost where it does not |\n|---|---|---|\n", effect_words(effect));
    for (const auto& check : checks())
      if (check.effect == effect) out += fmt::format("| [`{0}`](#{0}) | {1} | {2} |\n", check.id, check.title, check.cost);
    for (const auto& check : checks()) {
      if (check.effect != effect) continue;
      out += fmt::format("\n### {}\n\n", check.id);
      for (const auto line : split_lines(check.explanation)) out += fmt::format("{}\n\n", line);
      out += fmt::format("Family {}; at worst a {}; {}.\n", to_string(check.family), to_string(check.severity),
                         check.on_recordings ? "also on recorded machines" : "needs the live system");
    }
  }
  return out;
}

}  // namespace numapin
