// What kind of text is this? Looks at words that only one tool prints; a yes does not promise that the text is whole.
#pragma once

#include <span>
#include <string_view>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

bool looks_like_hwloc_xml(std::string_view text);
bool looks_like_nccl_xml(std::string_view text);
bool looks_like_rocm_smi(std::string_view text);
bool looks_like_smi_topo(std::string_view text);
bool looks_like_numactl_hardware(std::string_view text);
bool looks_like_lscpu(std::string_view text);
bool looks_like_lspci_tree(std::string_view text);

struct TextFormat {
  std::string_view name;  ///< for messages: "hwloc XML"
  bool (*looks_like)(std::string_view);
  Result<Machine> (*read)(std::string_view);
};

/// Every text format, in the order to try them: the first that looks right is the one.
std::span<const TextFormat> text_formats();

}  // namespace numapin
