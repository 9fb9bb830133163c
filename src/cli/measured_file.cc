#include "cli/measured_file.h"

#include <CLI/CLI.hpp>

#include "cli/text_file.h"

namespace numapin::cli {

CLI::Option* add_measured_option(CLI::App& app, std::string& file) {
  return app.add_option("--measured", file, "Use the figures that 'numapin bench --out FILE' took of this machine")
      ->type_name("FILE");
}

Result<std::optional<Measured>> read_measured(const std::string& file, System& system) {
  if (file.empty()) return std::optional<Measured>();
  NUMAPIN_TRY(const auto text, read_text_file(file));
  auto measured = measured_from_json(text);
  if (!measured) return bad_input("use " + file + ": " + measured.error().message, measured.error().hint);
  if (const auto why = mismatch(*measured, system.machine); !why.empty())
    return bad_input("use " + file + ": it was measured on another machine, or this one has changed: " + why,
                     "measure this one: numapin bench --out " + file);
  apply_measured(*measured, system);
  return std::optional<Measured>(std::move(*measured));
}

}  // namespace numapin::cli
