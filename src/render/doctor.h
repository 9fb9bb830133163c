// What doctor found, as text, as JSON, and the table of its checks as a page of documentation.
#pragma once

#include <string>
#include <vector>

#include "numapin/doctor.h"
#include "render/topo.h"

namespace numapin {

struct DoctorStyle : TextStyle {
  bool all = false;  ///< also the checks that found nothing
};

/// One line of the answer, the checklist by family, then each finding in full.
std::string doctor_text(const std::vector<Examination>& list, const DoctorStyle& style);
/// `doctor --list`: a line a check.
std::string checks_text(const TextStyle& style);
/// `doctor --explain ID`
std::string explain_text(const Check& check, const TextStyle& style);
/// docs/checks.md: every check, ordered by effect.
std::string checks_page();
/// Schema "numapin/doctor/1" (docs/json.md).
std::string doctor_json(const std::vector<Examination>& list, const Setup& setup, const std::vector<std::string>& notes);

}  // namespace numapin
