// A plan as text for other tools: ready to paste, and nothing lost in silence: what a tool cannot do stands in a comment.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "numapin/plan.h"
#include "numapin/result.h"

namespace numapin {

struct ExportRequest {
  const Machine& machine;
  const Plan& plan;
  std::vector<std::string> command;     ///< empty: a placeholder stands for it
  std::string hostname = "localhost";   ///< for rankfiles
};

/// One `--format` of `numapin plan`: name, one line of description, and the writer.
struct ExportFormat {
  std::string_view name, summary;
  Result<std::string> (*write)(const ExportRequest& request);
};
std::span<const ExportFormat> export_formats();

/// The plan in the format of that name; newline at the end. Errors: kBadInput (no such format; the hint lists them),
/// kUnsupported (the tool cannot say what the plan wants).
Result<std::string> export_plan(std::string_view format, const ExportRequest& request);

/// The JSON document of `plan --json`, schema "numapin/plan/1" (docs/json.md), two-space indented, newline at the end.
std::string to_json(const Plan& plan);

}  // namespace numapin
