// As much of slurm.conf and gres.conf as tells whether Slurm knows where GPUs are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "numapin/machine.h"

namespace numapin::doctor {

/// One line of such a file: its keys and values in order, and itself. Keys are compared in either case.
struct ConfLine {
  std::string text;
  std::vector<std::pair<std::string, std::string>> pairs;
  std::optional<std::string> value(std::string_view key) const;
  bool operator==(const ConfLine&) const = default;
};
/// Lines with anything on them: "#" starts a comment, "\" at the end goes on with the next line, values may stand in
/// double quotes, blanks around "=" do not count (slurm.conf(5), src/common/parse_config.c).
std::vector<ConfLine> conf_lines(std::string_view text);
/// The last value of that key.
std::optional<std::string> conf_value(std::string_view text, std::string_view key);

/// Whether "n[1-4,7]" or "n1,n2" names the host. An empty list, or an unknown host (""), is taken to mean it.
bool names_host(std::string_view list, std::string_view host);

/// slurm.conf's line of a node with what NodeName=DEFAULT lines above it set; nothing where no line names the host.
std::optional<ConfLine> node_conf(std::string_view text, std::string_view host);

struct GresLine {
  std::string text;
  std::vector<std::string> files;  ///< File=, ranges spelt out
  std::optional<CpuSet> cores;     ///< in Slurm's count
};
struct GresLines {
  bool auto_detect = false;     ///< AutoDetect= something but off
  std::vector<GresLine> gpus;   ///< lines for this host with Name=gpu and a File
};
GresLines gres_lines(std::string_view text, std::string_view host);

}  // namespace numapin::doctor
