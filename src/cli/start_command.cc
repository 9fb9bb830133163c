#include "cli/start_command.h"

#include "cli/command.h"
#include "cli/session.h"
#include "os/program.h"

namespace numapin::cli {

Result<std::string> find_command(const Session& s, const std::string& name) {
  const auto path = s.env.find("PATH");
  return find_program(name, path == s.env.end() ? "/bin:/usr/bin" : path->second);
}

int fail_to_start(const Session& s, const Error& error) {
  s.report(error);
  return error.kind == Error::Kind::kNotFound ? kNotFound : kNotExecutable;
}

}  // namespace numapin::cli
