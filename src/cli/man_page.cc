#include "cli/man_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace numapin::cli {
namespace {

/// Text that roff takes as it is: no escapes, no requests, and hyphens that can be copied into a shell.
std::string roff(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out = "\\&";
  for (const char c : text) {
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else out += c;
  }
  return out;
}

std::string heading(std::string_view page, std::string_view summary) {
  std::string upper(page);
  for (auto& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return fmt::format(".TH \"{}\" \"1\" \"\" \"numapin {}\" \"numapin\"\n.SH NAME\n{} \\- {}\n", roff(upper), NUMAPIN_VERSION, roff(page),
                     roff(summary));
}

std::string example_block(const std::vector<std::string>& lines) {
  std::string text = ".SH EXAMPLES\n.nf\n";
  for (const auto& line : lines) text += roff(line) + "\n";
  return text + ".fi\n";
}

std::string option_entry(const OptionPage& o) {
  std::string names;
  for (const auto& name : o.names) names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  if (!o.value.empty()) names += " \\fI" + roff(o.value) + "\\fR";
  return ".TP\n" + names + "\n" + roff(o.help) + (o.required ? " (required)" : "") + "\n";
}

std::string options_section(const CommandPage& page) {
  std::vector<std::string> groups;
  for (const auto& o : page.options) {
    if (std::find(groups.begin(), groups.end(), o.group) == groups.end()) groups.push_back(o.group);
  }
  std::string text = ".SH OPTIONS\n";
  for (const auto& group : groups) {
    if (groups.size() > 1) text += ".SS " + roff(group) + "\n";
    for (const auto& o : page.options) {
      if (o.group == group) text += option_entry(o);
    }
  }
  return text;
}

constexpr std::string_view kExitStatus =
    ".SH EXIT STATUS\n"
    "0 done; 1 failed, or a problem was found; 2 wrong usage; 3 not supported here. Of a program that was started: its "
    "own, 126 or 127 where it could not start, 128+N by signal N.\n";

}  // namespace

std::string man_page(const std::vector<CommandPage>& commands) {
  auto text = heading("numapin", "put GPU jobs on the right NUMA node");
  text += ".SH SYNOPSIS\n.B numapin\n.I COMMAND\n.RI [ OPTION ...]\n.SH DESCRIPTION\n"
          "numapin finds the CPUs and memory beside each GPU, starts programs there, and shows whether they stay there. "
          "What it does not know it says, instead of guessing.\n.PP\nEvery command takes \\fB\\-\\-machine\\fR, to try it on a "
          "recorded or built\\-in machine, and \\fB\\-\\-help\\fR.\n.SH COMMANDS\n";
  for (const auto& c : commands) text += fmt::format(".TP\n\\fB{0}\\fR\n{1}. See \\fBnumapin\\-{0}\\fR(1).\n", roff(c.name), roff(c.summary));
  text += example_block({"numapin topo                            which GPU is beside which CPUs",
                         "numapin run --gpu 0 -- python train.py  start train.py beside GPU 0"});
  text += kExitStatus;
  text += ".SH ENVIRONMENT\nCUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES and "
          "ZE_AFFINITY_MASK limit the GPUs that are counted, by the rules of their runtimes. NO_COLOR turns colours off; "
          "COLUMNS sets the width.\n.SH SEE ALSO\n";
  for (const auto& c : commands) text += fmt::format(".BR numapin\\-{} (1),\n", roff(c.name));
  return text + ".BR numactl (8),\n.BR taskset (1),\n.BR numa (7)\n";
}

std::string man_page(const CommandPage& page) {
  auto text = heading("numapin-" + page.name, page.summary);
  constexpr std::string_view kUsage = "usage: ";
  text += ".SH SYNOPSIS\n.nf\n\\fB" + roff(std::string_view(page.usage).substr(kUsage.size())) + "\\fR\n.fi\n";
  text += ".SH DESCRIPTION\n" + roff(page.summary) + ".\n";
  for (const auto& remark : page.remarks) text += ".PP\n" + roff(remark) + "\n";
  return text + options_section(page) + example_block(page.examples) + std::string(kExitStatus) + ".SH SEE ALSO\n.BR numapin (1)\n";
}

}  // namespace numapin::cli
