// Options that several commands share, with one wording.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/text.h"

namespace numapin::cli {

inline CLI::Option* add_machine_option(CLI::App& app, std::string& machine) {
  return app
      .add_option("--machine", machine,
                  "Use a recorded machine instead of this one: a snapshot, a sysfs tree or tar, an hwloc or NCCL XML, "
                  "pasted output of nvidia-smi topo -m, numactl -H, lscpu; or a built-in machine (list: names them)")
      ->type_name("FILE|NAME");
}

inline CLI::Option* add_json_flag(CLI::App& app, bool& json) {
  return app.add_flag("--json", json, "Print JSON (docs/json.md)");
}

inline const std::string kOneOf = "one of: ";  // a validator's name is the only place that keeps its words

/// Checks without their words in the type column of the help page: the option's own help has them.
inline CLI::Validator one_of(const std::vector<std::string>& words) {
  return CLI::IsMember(words).description("").name(kOneOf + join(words, " "));
}
/// The words of one_of(), for completions.
inline std::vector<std::string> words_allowed(CLI::Option& option) {
  std::vector<std::string> words;
  try {
    for (int i = 0;; ++i) {
      const std::string_view name = option.get_validator(i)->get_name();
      if (!name.starts_with(kOneOf)) continue;
      for (const auto word : split_words(name.substr(kOneOf.size()))) words.emplace_back(word);
    }
  } catch (const CLI::OptionNotFound&) {  // the parser's way to say that there are no more
  }
  return words;
}
inline CLI::Validator number_from(int lowest, int highest = 1 << 30) {
  return CLI::Range(lowest, highest).description("");
}

/// The two examples or more at the end of a command's help.
inline void set_examples(CLI::App& app, const std::string& lines) { app.footer(lines); }

}  // namespace numapin::cli
