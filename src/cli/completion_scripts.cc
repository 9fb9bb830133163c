#include "cli/completion_scripts.h"

#include <fmt/format.h>

#include "base/text.h"

namespace numapin::cli {
namespace {

std::string_view list_name(Offer offer) {
  switch (offer) {
    case Offer::kMachine: return "machines";
    case Offer::kGpus: return "gpus";
    case Offer::kProcess: return "processes";
    case Offer::kCheck: return "checks";
    default: return {};
  }
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// ---- bash -----------------------------------------------------------------------------------------------------------

std::string bash_offer(const OptionPage& o) {
  switch (o.offer) {
    case Offer::kWords: return "_numapin_words " + quoted(join(o.words, " "));
    case Offer::kFile: return "_numapin_files";
    case Offer::kDirectory: return "_numapin_files -d";
    case Offer::kMachine: return "_numapin_list machines; _numapin_files";
    case Offer::kNothing: return ":";
    default: return fmt::format("_numapin_list {}", list_name(o.offer));
  }
}

constexpr std::string_view kBashFunctions = R"sh(# bash completion for numapin

_numapin_words() { COMPREPLY+=($(compgen -W "$1" -- "$cur")); }
_numapin_files() { compopt -o filenames 2>/dev/null; local IFS=$'\n'; COMPREPLY+=($(compgen "${1:--f}" -- "$cur")); }

# What the program says there is; "0,1" goes on behind its last comma.
_numapin_list() {
  local before=
  case $cur in *,*) before=${cur%,*},;; esac
  COMPREPLY+=($(compgen -P "$before" -W "$("${COMP_WORDS[0]}" completion --list "$1" 2>/dev/null | cut -f1)" -- "${cur##*,}"))
}

_numapin() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} options= valued= program= i
  COMPREPLY=()
  # "--cpus=node" comes as three words.
  if [[ $cur == = ]]; then cur=
  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
)sh";

constexpr std::string_view kBashEnd = R"sh(
  # Behind the options of run and launch stands a program with its own.
  if [[ $program ]]; then
    for ((i = 2; i < COMP_CWORD; ++i)); do
      case ${COMP_WORDS[i]} in
        --) ((++i)); break ;;
        -*) if [[ " $valued " == *" ${COMP_WORDS[i]} "* ]]; then
              if [[ ${COMP_WORDS[i+1]} == = ]]; then ((i += 2)); else ((++i)); fi
            fi ;;
        *) break ;;
      esac
    done
    if ((i < COMP_CWORD)); then _numapin_files; return; fi
    if ((i == COMP_CWORD)) && [[ $cur != -* || ${COMP_WORDS[i-1]} == -- ]] && [[ " $valued " != *" $prev "* ]]; then
      COMPREPLY=($(compgen -c -- "$cur")); return
    fi
  fi
  case "$command $prev" in
)sh";

// ---- zsh ------------------------------------------------------------------------------------------------------------

std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_offer(const OptionPage& o) {
  switch (o.offer) {
    case Offer::kWords: return "(" + join(o.words, " ") + ")";
    case Offer::kFile: return "_files";
    case Offer::kDirectory: return "_files -/";
    case Offer::kMachine: return "_numapin_machines";
    case Offer::kNothing: return " ";
    default: return fmt::format(" _numapin_list {}", list_name(o.offer));  // the blank: no options of compadd before its argument
  }
}

/// The place of an argument: its number, or "*" for the last, which may stand for several.
std::string zsh_place(const CommandPage& c, const OptionPage& o) {
  int number = 0, last = 0;
  for (const auto& other : c.options) {
    if (!other.is_argument) continue;
    ++last;
    if (&other == &o) number = last;
  }
  return number == last ? "*" : std::to_string(number);
}

/// One specification of _arguments for each name.
std::string zsh_option(const CommandPage& c, const OptionPage& o) {
  std::string text;
  const auto value = o.value.empty() ? "" : fmt::format(":{}:{}", zsh_text(o.value), zsh_offer(o));
  for (const auto& name : o.names) {
    if (o.is_argument) {
      text += fmt::format("      {} \\\n", quoted(zsh_place(c, o) + ":" + zsh_text(o.value.empty() ? name : o.value) + ":" + zsh_offer(o)));
      continue;
    }
    const auto assign = o.value.empty() ? "" : name.starts_with("--") ? "=" : "+";
    text += fmt::format("      {} \\\n", quoted(name + assign + "[" + zsh_text(o.help) + "]" + value));
  }
  return text;
}

constexpr std::string_view kZshFunctions = R"sh(#compdef numapin

_numapin_list() {
  local -a found
  found=(${(f)"$(numapin completion --list $1 2>/dev/null | sed 's/:/\\:/g; s/\t/:/')"})
  _describe $1 found
}
_numapin_machines() { _numapin_list machines; _files }

_numapin() {
)sh";

// ---- fish -----------------------------------------------------------------------------------------------------------

std::string fish_offer(const OptionPage& o) {
  switch (o.offer) {
    case Offer::kWords: return " -x -a " + quoted(join(o.words, " "));
    case Offer::kFile: return " -r -F";
    case Offer::kDirectory: return " -x -a '(__fish_complete_directories)'";
    case Offer::kMachine: return " -r -F -a '(__numapin_list machines)'";
    case Offer::kNothing: return o.value.empty() ? "" : " -x";
    default: return fmt::format(" -x -a '(__numapin_list {})'", list_name(o.offer));
  }
}

std::string fish_option(const std::string& command, const OptionPage& o) {
  auto line = fmt::format("complete -c numapin -n '__fish_seen_subcommand_from {}'", command);
  if (o.is_argument) {
    const bool named = o.offer == Offer::kWords || o.offer == Offer::kProcess || o.offer == Offer::kCheck;
    return named ? line + fish_offer(o) + "\n" : "";
  }
  for (const auto& name : o.names) line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return line + fish_offer(o) + " -d " + quoted(o.help) + "\n";
}

constexpr std::string_view kFishFunctions = R"sh(# fish completion for numapin

function __numapin_list
    numapin completion --list $argv[1] 2>/dev/null
end

# The program behind "--" and its arguments, completed as if it stood alone.
function __numapin_program
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words); or return
    set -l rest
    test $at -lt (count $words); and set rest $words[(math $at + 1)..-1]
    complete -C (string join ' ' -- $rest (commandline -ct))
end

)sh";

}  // namespace

std::string bash_completion(const std::vector<CommandPage>& commands) {
  std::string names, cases, values;
  for (const auto& c : commands) {
    names += c.name + " ";
    std::string options, valued;
    for (const auto& o : c.options) {
      if (o.is_argument) continue;
      for (const auto& name : o.names) {
        options += name + " ";
        if (o.value.empty()) continue;
        valued += name + " ";
        values += fmt::format("    \"{} {}\") {}; return ;;\n", c.name, name, bash_offer(o));
      }
    }
    cases += fmt::format("    {}) options='{}' valued='{}'{} ;;\n", c.name, options, valued, c.starts_program ? " program=1" : "");
  }
  std::string arguments;
  for (const auto& c : commands) {
    for (const auto& o : c.options) {
      if (o.is_argument && o.offer != Offer::kNothing) arguments += fmt::format("    {}) {} ;;\n", c.name, bash_offer(o));
    }
  }
  return std::string(kBashFunctions) +
         fmt::format("  if ((COMP_CWORD == 1)); then _numapin_words '{}help --help --version'; return; fi\n", names) +
         fmt::format("  case $command in\n{}    help) _numapin_words '{}'; return ;;\n    *) return ;;\n  esac", cases, names) +
         std::string(kBashEnd) + values + "  esac\n  if [[ $cur == -* ]]; then _numapin_words \"$options\"; return; fi\n" +
         "  case $command in\n" + arguments + "  esac\n}\ncomplete -o bashdefault -F _numapin numapin\n";
}

std::string zsh_completion(const std::vector<CommandPage>& commands) {
  std::string names, cases;
  for (const auto& c : commands) {
    names += "    " + quoted(zsh_text(c.name) + ":" + c.summary) + "\n";
    cases += fmt::format("    {})\n      _arguments -s -S \\\n", c.name);
    for (const auto& o : c.options) cases += zsh_option(c, o);
    cases += c.starts_program ? "      '(-)1:command:_command_names -e' '*::arguments:_normal' ;;\n" : "      && return ;;\n";
  }
  return std::string(kZshFunctions) + "  local -a commands=(\n" + names +
         "    'help:Print the help of a command'\n  )\n"
         "  if ((CURRENT == 2)); then _describe command commands; return; fi\n"
         "  shift words; ((CURRENT--))\n  case $words[1] in\n" + cases +
         "    help) ((CURRENT == 2)) && _describe command commands ;;\n  esac\n}\n\n_numapin \"$@\"\n";
}

std::string fish_completion(const std::vector<CommandPage>& commands) {
  auto text = std::string(kFishFunctions) + "complete -c numapin -f -n __fish_use_subcommand -a help -d 'Print the help of a command'\n";
  std::string programs;
  for (const auto& c : commands) {
    text += fmt::format("complete -c numapin -f -n __fish_use_subcommand -a {0} -d {1}\n"
                        "complete -c numapin -f -n '__fish_seen_subcommand_from help' -a {0} -d {1}\n", c.name, quoted(c.summary));
    if (c.starts_program) programs += " " + c.name;
  }
  for (const auto& c : commands) {
    for (const auto& o : c.options) text += fish_option(c.name, o);
  }
  return text + fmt::format("complete -c numapin -n '__fish_seen_subcommand_from{}' -a '(__numapin_program)'\n", programs);
}

}  // namespace numapin::cli
