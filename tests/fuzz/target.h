// A fuzz target: takes any bytes, calls a parser and throws Broken where what came out is not as promised. One list of
// targets serves libFuzzer (fuzz.cc, preset fuzz) and the replay of tests/fuzz/seeds in every test run (replay_test.cc).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace numapin::fuzz {

struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};
inline void demand(bool holds, const std::string& otherwise) {
  if (!holds) throw Broken(otherwise);
}

struct Target {
  std::string_view name;           ///< also the folder of its seeds
  std::string_view what;           ///< the outside text it reads
  void (*run)(std::string_view bytes);
};

std::vector<Target> base_targets();
std::vector<Target> machine_targets();
std::vector<Target> tree_targets();
std::vector<Target> job_targets();
std::vector<Target> slurm_targets();
std::vector<Target> analyze_targets();
std::vector<Target> oci_targets();

inline std::vector<Target> all_targets() {
  std::vector<Target> all;
  for (const auto& part : {base_targets(), machine_targets(), tree_targets(), job_targets(), slurm_targets(), analyze_targets(),
                           oci_targets()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace numapin::fuzz
