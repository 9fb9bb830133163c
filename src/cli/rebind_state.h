// The state file of `rebind`: where it lies, how it is written and read.
#pragma once

#include <string>

#include "plan/rebind.h"

namespace numapin::cli {

struct Session;

/// `named` (--state), else a new file in $XDG_STATE_HOME/numapin or ~/.local/state/numapin, which is made.
Result<std::string> state_path(const std::string& named, int pid, const Session& session);
std::string boot_id(const Session& session);
/// Errors: kBadInput where it is no state, or of another boot; kDenied where it is another user's, unless `trusted`.
Result<RebindState> read_state(const std::string& path, bool trusted, const Session& session);

}  // namespace numapin::cli
