// The command line of an OCI runtime (runc, crun, youki), as far as placing a container needs it.
#pragma once

#include <span>
#include <string>

namespace numapin::oci {

struct RuntimeCommand {
  std::string name;         ///< "create", "run", "state", ...; "" where there is none ("--version")
  std::string id;           ///< the container's, "" where there is none
  std::string bundle = "."; ///< --bundle, -b
  std::string config;       ///< crun's --config, -f; "" for config.json in the bundle
  std::string log;          ///< --log, where the engine looks for an error's words
  bool json_log = false;    ///< --log-format json

  bool starts_container() const { return name == "create" || name == "run"; }
  std::string config_path() const { return config.empty() ? bundle + "/config.json" : config; }
};

/// `args` without the program's name. Understands what runc's parser does (Go's: one dash or two, "=" or the next word,
/// options after the id too) and what crun's adds (-bDIR, unique beginnings of long names). Never fails: what is not
/// understood is for the runtime to judge.
RuntimeCommand read_command(std::span<const std::string> args);

}  // namespace numapin::oci
