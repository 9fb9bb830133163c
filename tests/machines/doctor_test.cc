// doctor on the recorded machines of this folder and on the built-in ones: these findings, and no others.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "numapin/doctor.h"
#include "numapin/sources.h"
#include "support/source_dir.h"

namespace numapin {
namespace {

using Found = std::map<std::string, Severity>;

Found found_on(const std::filesystem::path& machine) {
  Found found;
  numapin::Setup setup;
  setup.recorded = true;
  auto system = open_machine(machine);
  EXPECT_TRUE(system) << system.error().message;
  if (!system) return found;
  setup.system = std::move(*system);
  const auto list = *examine(setup);
  for (const auto& [check, result] : list)
    if (result.state == CheckResult::State::kFound) found[std::string(check->id)] = result.findings.front().severity;
  return found;
}

const std::map<std::string, Found> kRecorded = {
    {"lab-cxl", {{"node-without-cpus", Severity::kNote}}},
    {"lab-gpuless-node", {{"gpu-node-unknown", Severity::kWarning}}},
    {"lab-offline", {{"offline-cpus", Severity::kWarning}}},
    {"lab-quad", {{"nic-pairing", Severity::kNote}}},   // InfiniBand on nodes 0 and 2 only
    {"lab-snc", {{"split-sockets", Severity::kNote}}},
};
const std::map<std::string, Found> kBuiltin = {
    {"epyc-nps4", {{"split-sockets", Severity::kNote}}},
    {"gh200", {{"gpu-memory-nodes", Severity::kNote}}},
    {"vm", {{"pcie-link", Severity::kNote}}},  // an A10G has 8 of its 16 lanes on AWS's g5
    {"vm-2node-unknown", {{"gpu-node-unknown", Severity::kWarning}}},
};

Found wanted(const std::map<std::string, Found>& of, const std::string& name) {
  const auto it = of.find(name);
  return it == of.end() ? Found() : it->second;
}

TEST(DoctorOnRecordedMachines, FindsWhatTheyAreMadeToShow) {
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() / "tests/machines")) {
    if (!std::filesystem::exists(entry.path() / "machine.snap")) continue;
    const auto name = entry.path().filename().string();
    EXPECT_EQ(found_on(entry.path() / "machine.snap"), wanted(kRecorded, name)) << name;
  }
}

TEST(DoctorOnBuiltinMachines, FindsWhatTheyAreMadeToShow) {
  for (const auto& machine : builtin_machines()) EXPECT_EQ(found_on(machine.name), wanted(kBuiltin, machine.name)) << machine.name;
}

}  // namespace
}  // namespace numapin
