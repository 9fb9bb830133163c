// Names: host, kernel, architecture, processor.
#include "base/text.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin::sources {
namespace {

/// The processor's marketing name, under the key that its architecture's /proc/cpuinfo uses. Arm has none.
std::optional<std::string> cpu_model(std::string_view cpuinfo) {
  // x86; LoongArch; sparc and 64-bit POWER; MIPS
  for (const auto key : {"model name", "Model Name", "cpu", "cpu model"})
    if (auto name = field(cpuinfo, key); name && !name->empty()) return name;
  return std::nullopt;
}

/// /proc/sys/kernel/arch is there since Linux 6.1; before, cpuinfo tells only some architectures apart.
std::optional<std::string> architecture_of(std::string_view cpuinfo) {
  if (const auto flags = field(cpuinfo, "flags")) {
    for (const auto flag : split_words(*flags))
      if (flag == "lm") return "x86_64";
    return "i686";
  }
  if (field(cpuinfo, "CPU architecture") == "8") return "aarch64";
  if (const auto isa = field(cpuinfo, "isa"); isa && isa->starts_with("rv64")) return "riscv64";
  if (const auto vendor = field(cpuinfo, "vendor_id"); vendor && vendor->starts_with("IBM/S390")) return "s390x";
  return std::nullopt;
}

void set(Fact<std::string>& fact, std::optional<std::string> value) {
  if (value && !value->empty()) fact = {std::move(*value), Source::kProcfs};
}

}  // namespace

void add_names(const FileTree& tree, Machine& m) {
  set(m.hostname, read_text(tree, "/proc/sys/kernel/hostname"));
  set(m.kernel_release, read_text(tree, "/proc/sys/kernel/osrelease"));
  set(m.architecture, read_text(tree, "/proc/sys/kernel/arch"));
  const auto cpuinfo = read_first_cpuinfo(tree);
  set(m.cpu_model, cpu_model(cpuinfo));
  if (!m.architecture) set(m.architecture, architecture_of(cpuinfo));
}

}  // namespace numapin::sources
