#include "cli/topo.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/measured_file.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/write_file.h"
#include "numapin/sources.h"
#include "render/measured.h"
#include "render/topo.h"

namespace numapin::cli {
namespace {

struct TopoOptions {
  std::string machine, measured, svg;
  bool matrix = false, hardware = false, json = false, unicode = false;
};

int list_machines(Session& s) {
  const auto machines = builtin_machines();
  std::size_t widest = 0;
  for (const auto& machine : machines) widest = std::max(widest, machine.name.size());
  for (const auto& machine : machines) s.out << fmt::format("{:{}}  {}\n", machine.name, widest, machine.description);
  return kDone;
}

int write_svg(Session& s, const std::string& file, const System& system) {
  const auto drawing = topo_svg(system);
  if (file == "-") {
    s.out << drawing;
    return kDone;
  }
  const auto written = write_file(file, drawing, true);
  if (!written) return s.report(written.error());
  s.say("wrote " + file);
  return kDone;
}

int run_topo(Session& s, const TopoOptions& options) {
  if (options.machine == "list") return list_machines(s);
  auto system = s.system(options.machine);
  if (!system) return s.report(system.error());
  const auto measured = read_measured(options.measured, *system);
  if (!measured) return s.report(measured.error());
  if (options.json) {
    s.out << to_json(*system);
  } else if (!options.svg.empty()) {
    return write_svg(s, options.svg, *system);
  } else if (options.matrix) {
    s.out << smi_topo_matrix(system->machine);
  } else if (options.hardware) {
    s.out << numactl_hardware(system->machine);
  } else {
    const TextStyle style{s.width, options.unicode || s.unicode_out, s.color_out};
    s.out << topo_text(*system, style);
    if (*measured) s.out << '\n' << measured_tables(**measured, style);
  }
  return kDone;
}

}  // namespace

Runner add_topo(CLI::App& app) {
  auto options = std::make_shared<TopoOptions>();
  auto* matrix = app.add_flag("--matrix", options->matrix, "Print the table of 'nvidia-smi topo -m'");
  auto* hardware = app.add_flag("--hardware", options->hardware, "Print the text of 'numactl --hardware'");
  auto* json = add_json_flag(app, options->json);
  matrix->excludes(hardware)->excludes(json);
  hardware->excludes(json);
  app.add_option("--svg", options->svg, "Draw the machine into an SVG file (-: standard output)")
      ->type_name("FILE")->excludes(matrix)->excludes(hardware)->excludes(json);
  add_machine_option(app, options->machine);
  add_measured_option(app, options->measured);
  app.add_flag("--unicode", options->unicode, "Draw with box characters even where the output is not a UTF-8 terminal");
  set_examples(app,
               "  numapin topo                                 # this machine\n"
               "  numapin topo --machine dgx-h100              # a DGX H100, without having one\n"
               "  nvidia-smi topo -m > table.txt; numapin topo --machine table.txt --json\n"
               "  numapin topo --svg machine.svg               # a drawing, for a browser or a document\n"
               "  numapin topo --machine list                  # the built-in machines\n");
  return [options](Session& s) { return run_topo(s, *options); };
}

}  // namespace numapin::cli
