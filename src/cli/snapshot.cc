#include "cli/snapshot.h"

#include <fmt/format.h>

#include <memory>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/write_file.h"
#include "numapin/sources.h"

namespace numapin::cli {
namespace {

struct SnapshotCommandOptions {
  std::string file;
  bool keep_ids = false, force = false;
};

// The second line of a snapshot, "# replaced: host name, 8 UUIDs".
std::string_view what_was_replaced(std::string_view snapshot) {
  const auto begin = snapshot.find("# ") + 2;
  return snapshot.substr(begin, snapshot.find('\n', begin) - begin);
}

int run_snapshot(Session& s, const SnapshotCommandOptions& options) {
  const auto text = make_snapshot(s.live, s.nvml(), {options.keep_ids, s.visible_env()});
  if (!text) return s.report(text.error());
  if (options.file == "-") {
    s.out << *text;
    return kDone;
  }
  if (const auto written = write_file(options.file, *text, options.force); !written) return s.report(written.error());
  s.say(fmt::format("wrote {}: {} bytes; {}", options.file, text->size(), what_was_replaced(*text)));
  s.say("it is plain text: look it over before you pass it on");
  return kDone;
}

}  // namespace

Runner add_snapshot(CLI::App& app) {
  auto options = std::make_shared<SnapshotCommandOptions>();
  app.add_option("FILE", options->file, "Where to write it; - is the standard output")->required();
  app.add_flag("--keep-ids", options->keep_ids,
               "Keep the host name, UUIDs, serial numbers and addresses instead of replacing them by numbers");
  app.add_flag("--force", options->force, "Replace FILE if it exists");
  set_examples(app,
               "  numapin snapshot node17.snap                   # this machine, to attach to a bug report\n"
               "  numapin topo --machine node17.snap             # the same machine, anywhere\n"
               "  numapin snapshot - | less                      # what would be passed on\n");
  return [options](Session& s) { return run_snapshot(s, *options); };
}

}  // namespace numapin::cli
