// What `rebind` achieved, for its lines and its document.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/rebind.h"
#include "plan/rebind.h"

namespace numapin::cli {

struct MemoryOutcome {
  std::uint64_t asked = 0, stayed = 0;  ///< bytes
  MoveTiming timing;
  StayReasons why;

  std::uint64_t moved() const { return asked - stayed; }
  /// Nothing where nothing moved, or faster than the clock tells.
  std::optional<double> bytes_per_second() const;
  /// `stayed`, shared out by the reasons of the pages that were asked about.
  std::vector<std::pair<std::string, std::uint64_t>> stayed_by_reason() const;
  /// More than a tenth stayed, or the kernel refused.
  bool failed() const { return stayed > asked / 10 || timing.error != 0; }
};

struct ProcessOutcome {
  ProcessChange change;
  std::optional<MemoryOutcome> memory;  ///< nothing: no page was to move, the process had ended, or it was a dry run
};

std::vector<ProcessOutcome> without_memory(const std::vector<ProcessChange>& changes);

struct RebindOutcome {
  std::optional<std::string> undo_file;
  std::vector<ProcessOutcome> processes;
  std::optional<BindReport> report;  ///< nothing: a dry run
  std::vector<std::string> notes;

  static RebindOutcome planned(const std::vector<ProcessChange>& changes, std::vector<std::string> notes) {
    return {std::nullopt, without_memory(changes), std::nullopt, std::move(notes)};
  }
};

/// Schema numapin/rebind/1, docs/json.md.
std::string to_json(const RebindOutcome& outcome);

}  // namespace numapin::cli
