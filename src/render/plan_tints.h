// Which colour a GPU and the cores planned for it share in a drawing.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "numapin/plan.h"

namespace numapin {

class PlanTints {
 public:
  PlanTints() = default;  ///< no plan: nothing is tinted
  explicit PlanTints(const Plan& plan);
  /// "tint3"; nothing where no rank, or more than one, has it.
  std::optional<std::string> of_cpu(CpuId cpu) const { return tint(find(cpus_, number(cpu))); }
  std::optional<std::string> of_gpu(int gpu) const { return tint(find(gpus_, gpu)); }
  bool any() const;  ///< some CPU has a tint
  /// The rank that has the CPU alone.
  std::optional<int> rank_of_cpu(CpuId cpu) const;

 private:
  struct Owner {
    int rank = 0, tint = 0;
    bool several = false;
  };
  using Owners = std::map<int, Owner>;
  static void claim(Owners& owners, int key, int rank, int tint);
  static const Owner* find(const Owners& owners, int key);
  static std::optional<std::string> tint(const Owner* owner);
  Owners cpus_, gpus_;
};

}  // namespace numapin
