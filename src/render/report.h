// `numapin report`: a machine and what runs on it as one HTML page that needs nothing else.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/doctor.h"
#include "numapin/machine.h"
#include "numapin/measured.h"
#include "numapin/plan.h"
#include "render/inspect.h"

namespace numapin {

struct Report {
  const System& system;
  std::string origin;   ///< "this machine, 24 November 2026 10:53 UTC, numapin 0.1.0"
  std::string command;  ///< what makes the page again

  /// One process per GPU, as `numapin launch` would place them; nothing with the reason where there is none.
  std::optional<Plan> plan;
  std::string no_plan;

  /// Processes that use a GPU; nothing: nobody looked (a recorded machine).
  std::optional<std::vector<Inspection>> processes;
  std::vector<std::string> process_notes;  ///< what could not be seen

  std::vector<Examination> examinations;   ///< of `numapin doctor`; empty: not examined

  std::optional<Measured> measured;        ///< of `numapin bench`
};

/// Well-formed as XML too.
std::string report_html(const Report& report);

}  // namespace numapin
