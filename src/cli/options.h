// Options that several commands share, with one wording.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

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

/// Checks without their words in the type column of the help page: the option's own help has them.
inline CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::IsMember(std::move(words)).description("");
}
inline CLI::Validator number_from(int lowest, int highest = 1 << 30) {
  return CLI::Range(lowest, highest).description("");
}

/// The two examples or more at the end of a command's help.
inline void set_examples(CLI::App& app, const std::string& lines) { app.footer(lines); }

}  // namespace numapin::cli
