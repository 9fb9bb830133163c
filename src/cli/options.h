// Options that several commands share, with one wording.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

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

/// The two examples or more at the end of a command's help.
inline void set_examples(CLI::App& app, const std::string& lines) { app.footer(lines); }

}  // namespace numapin::cli
