// Texts that describe a machine: what comes out holds every invariant, before and after completion, and its JSON reads
// back as the same machine.
#include <fmt/format.h>

#include "fuzz/target.h"
#include "numapin/sources.h"

namespace numapin::fuzz {
namespace {

void demand_whole(const Machine& m, std::string_view when) {
  const auto broken = check(m);
  demand(broken.empty(), fmt::format("{}: {}", when, broken.empty() ? "" : broken.front()));
}

void demand_error(const Error& e) { demand(!e.message.empty(), "an error without a message"); }

template <Result<Machine> (*read)(std::string_view)>
void text(std::string_view bytes) {
  auto m = read(bytes);
  if (!m) return demand_error(m.error());
  demand_whole(*m, "as read");
  complete(*m);
  demand_whole(*m, "completed");
  auto again = *m;
  complete(again);
  demand(again == *m, "completing twice is not completing once");
  demand(merge(again, *m).empty(), "a machine disagrees with itself");
}

void any_machine(std::string_view bytes) {
  const auto s = open_machine_text(std::string(bytes), "input");
  if (!s) return demand_error(s.error());
  demand_whole(s->machine, "opened");
  const auto json = to_json(*s);
  const auto back = open_machine_text(json, "json");
  demand(back.has_value(), "its JSON cannot be read: " + (back ? "" : back.error().message));
  demand(to_json(*back) == json, "its JSON reads back otherwise");
}

}  // namespace

std::vector<Target> machine_targets() {
  return {{"hwloc_xml", "hwloc XML", text<from_hwloc_xml>},
          {"nccl_xml", "NCCL topology XML", text<from_nccl_xml>},
          {"smi_topo", "nvidia-smi topo -m", text<from_smi_topo>},
          {"numactl_hardware", "numactl --hardware", text<from_numactl_hardware>},
          {"lscpu", "lscpu", text<from_lscpu>},
          {"rocm_smi", "rocm-smi --showtopo", text<from_rocm_smi>},
          {"lspci_tree", "lspci -tv", text<from_lspci_tree>},
          {"any_machine", "whatever --machine takes, found out by content", any_machine}};
}

}  // namespace numapin::fuzz
