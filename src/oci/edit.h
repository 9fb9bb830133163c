// A container's config.json with its place written into it: text and machine in, text and one line for the log out. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/machine.h"
#include "numapin/plan.h"

namespace numapin::oci {

/// What is looked up only for containers that have GPUs.
struct Host {
  /// `with_driver`: also what NVIDIA's library tells, which takes up to a second (MIG instances, UUIDs).
  std::function<Result<Machine>(bool with_driver)> machine;
  /// What the cgroup will allow that linux.cgroupsPath names.
  std::function<Allowance(const std::string& cgroups_path)> allowance;
  /// Whether the runtime sets this policy itself where linux.memoryPolicy has this mode ("MPOL_BIND").
  std::function<bool(const MemoryPolicy& policy, const std::string& mode)> runtime_sets;
};

/// Values of a bundle that an earlier start of it was given: the user's are those before.
struct Record {
  std::string cpus, cpus_before, mems, mems_before;
  std::string memory_policy;  ///< JSON text of linux.memoryPolicy, "" where none was written
  bool operator==(const Record&) const = default;
};

struct Edit {
  std::optional<std::string> config;  ///< to be written; nothing: stays as it is
  MemoryPolicy memory;                ///< to be set on the process that becomes the runtime
  Record record;
  bool about_gpus = false;            ///< the line is worth a log's space
  std::string line;                   ///< what was decided, or why nothing was
  bool strict = false;                ///< nothing of it may fail
  bool refused = false;               ///< strict: the container must not start; `line` says why
};

/// Total: every text gives an Edit. `site_policy`: words of the administrator, which the annotation's stand above.
Edit edit_config(std::string_view config, std::string_view site_policy, const Record& earlier, const Host& host);

/// The record as text, kept in the bundle, and back; an empty record for a text that is none.
std::string to_json(const Record& record, std::string_view line);
Record parse_record(std::string_view text);

}  // namespace numapin::oci
