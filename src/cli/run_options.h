// What the user typed after `numapin run`.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace numapin::cli {

struct RunOptions {
  std::string gpu;                                       // "": not given, as everywhere below
  std::string cpus, smt, memory, profile;                // our own words
  std::string cpunodebind, physcpubind;                  // numactl's
  std::string membind, interleave, weighted_interleave, preferred, preferred_many;
  bool localalloc = false, balancing = false, all = false;
  std::string cpu_list, cpu_mask;                        // taskset's
  std::string ambiguous;                                 // -c
  std::string make_room = "auto";
  std::string machine;
  bool strict = false, dry_run = false, explain = false, quiet = false, verify = false, json = false;
  std::vector<std::string> words;                        // the command to start

  /// CPUs or memory are named by numactl's or taskset's options.
  bool names_cpus() const {
    return !(cpunodebind.empty() && physcpubind.empty() && cpu_list.empty() && cpu_mask.empty());
  }
  bool names_memory() const {
    return localalloc || !(membind.empty() && interleave.empty() && weighted_interleave.empty() && preferred.empty() &&
                           preferred_many.empty());
  }
  /// The placement hangs on GPUs: always, unless numactl's or taskset's options alone were given.
  bool is_about_gpus() const {
    return !gpu.empty() || !cpus.empty() || !memory.empty() || !profile.empty() || !(names_cpus() || names_memory());
  }
};

}  // namespace numapin::cli
