#include "cli/rebind_state.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/numbers.h"
#include "cli/session.h"

namespace numapin::cli {
namespace {

namespace fs = std::filesystem;

std::string variable(const Session& session, const std::string& name) {
  const auto it = session.env.find(name);
  return it == session.env.end() ? "" : it->second;
}

}  // namespace

Result<std::string> state_path(const std::string& named, int pid, const Session& session) {
  if (!named.empty()) return named;
  fs::path dir = variable(session, "XDG_STATE_HOME");
  if (!dir.is_absolute()) {  // the XDG specification: relative paths are to be ignored
    const auto home = variable(session, "HOME");
    if (home.empty()) return fail(Error::Kind::kNotFound, "keep the old masks: HOME is not set", "name the file: --state FILE");
    dir = fs::path(home) / ".local/state";
  }
  dir /= "numapin";
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return fail(Error::Kind::kDenied, fmt::format("make {}: {}", dir.string(), error.message()), "name the file: --state FILE");
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return (dir / fmt::format("rebind-{}-{}.json", pid > 0 ? std::to_string(pid) : "all-gpu", now.count())).string();
}

std::string boot_id(const Session& session) {
  const auto text = session.live.read("/proc/sys/kernel/random/boot_id");
  return text ? std::string(trim(*text)) : "";
}

Result<RebindState> read_state(const std::string& path, const Session& session) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Error::Kind::kNotFound, fmt::format("read {}: cannot be read", path), "give the file that rebind named");
  NUMAPIN_TRY(auto state, parse_rebind_state(text.str(), path));
  if (state.boot_id != boot_id(session))
    return bad_input(fmt::format("undo {}: it was written before the last boot", path), "those processes are gone: remove the file");
  return state;
}

}  // namespace numapin::cli
