// What a snapshot holds besides files of the machine: files of ours under /numapin, which no live tree has.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/file_tree.h"
#include "numapin/machine.h"

namespace numapin {

inline constexpr std::string_view kRecordedNvml = "/numapin/nvml";
inline constexpr std::string_view kRecordedEnvironment = "/numapin/environment";

/// What from_nvml gave, its error too, as lines of text; and back.
std::string write_nvml_facts(const Result<Machine>& nvml);
Result<Machine> parse_nvml_facts(std::string_view text);

/// What NVML said when the tree was recorded; nothing when there was no driver, or the tree is no snapshot.
std::optional<Result<Machine>> recorded_nvml(const FileTree& tree);

/// *_VISIBLE_DEVICES of the recorder: lines "NAME=value".
std::string write_environment(const std::map<std::string, std::string>& visible_env);
std::map<std::string, std::string> recorded_environment(const FileTree& tree);

}  // namespace numapin
