#include "render/palette.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/numbers.h"

namespace numapin {
namespace {

constexpr Ink kPalette[] = {
    {"page", "#f7f8fa", "#12161c"},   {"card", "#ffffff", "#1a2029"},   {"line", "#d5dae2", "#363f4c"},
    {"text", "#1b222c", "#e8ecf2"},   {"muted", "#566172", "#a3aebd"},  {"link", "#5f7189", "#8095b0"},
    {"core", "#eef1f5", "#262e3a"},   {"track", "#e3e8ef", "#2b3441"},  {"used", "#4f7fb8", "#6f9fd6"},
    {"gpu", "#dff0e2", "#1f3d2a"},    {"nic", "#e4ecfa", "#213149"},    {"nvme", "#f0e9f7", "#332b44"},
    {"good", "#1b6e3c", "#7bd69b"},   {"warn", "#8a5200", "#f2b45a"},   {"bad", "#b3261e", "#ff9d94"},
    {"accent", "#1f5fa8", "#86bcf5"}, {"mesh", "#3f8f5f", "#5cb883"},
    {"tint0", "#cfe6d4", "#24503a"},  {"tint1", "#cfe0f5", "#22446b"},  {"tint2", "#fbe2c4", "#5c4420"},
    {"tint3", "#e4d7f3", "#483a68"},  {"tint4", "#fad4d8", "#642f3b"},  {"tint5", "#c9e9ea", "#1d5055"},
    {"tint6", "#f3ecb9", "#545020"},  {"tint7", "#dedfe6", "#414a5a"},
    {"heat0", "#f3f5f8", "#222a35"},  {"heat1", "#dbe8f5", "#22384f"},  {"heat2", "#bdd8ef", "#24486b"},
    {"heat3", "#94c2e4", "#2a5c8a"},  {"heat4", "#5f9fce", "#8fc0ea"},  {"heat5", "#22609b", "#c3e0fa"},
    {"onheat4", "#0e151e", "#0e151e"}, {"onheat5", "#ffffff", "#0e151e"},
};

constexpr TextOn kTexts[] = {
    {"text", "page"},   {"text", "card"},   {"text", "core"},   {"text", "gpu"},    {"text", "nic"},
    {"text", "nvme"},   {"text", "track"},  {"muted", "page"},  {"muted", "card"},  {"muted", "gpu"},
    {"muted", "nic"},   {"muted", "nvme"},  {"muted", "core"},  {"good", "card"},   {"warn", "card"},
    {"bad", "card"},    {"warn", "gpu"},    {"warn", "nic"},    {"warn", "nvme"},   {"accent", "card"},
    {"accent", "page"}, {"text", "tint0"},  {"text", "tint1"},  {"text", "tint2"},  {"text", "tint3"},
    {"text", "tint4"},  {"text", "tint5"},  {"text", "tint6"},  {"text", "tint7"},  {"text", "heat0"},
    {"text", "heat1"},  {"text", "heat2"},  {"text", "heat3"},  {"onheat4", "heat4"}, {"onheat5", "heat5"},
};

constexpr TextOn kShapes[] = {{"link", "card"}, {"used", "track"}, {"mesh", "card"}, {"warn", "card"}};


double linear(int channel) {  // sRGB transfer function, as WCAG writes it
  const double c = channel / 255.0;
  return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
}

double luminance(std::string_view rgb) {
  std::array<double, 3> channels{};
  for (std::size_t i = 0; i < 3; ++i) channels[i] = linear(parse_hex<int>(rgb.substr(1 + 2 * i, 2)).value_or(0));
  return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
}

}  // namespace

std::span<const Ink> palette() { return kPalette; }
std::span<const TextOn> texts_on_grounds() { return kTexts; }
std::span<const TextOn> shapes_on_grounds() { return kShapes; }

double contrast(std::string_view a, std::string_view b) {
  const auto [darker, lighter] = std::minmax({luminance(a), luminance(b)});
  return (lighter + 0.05) / (darker + 0.05);
}

std::string svg_css() {
  std::string light, dark;
  for (const auto& ink : kPalette) {
    light += fmt::format(".f-{0}{{fill:{1}}}.s-{0}{{stroke:{1}}}", ink.name, ink.light);
    dark += fmt::format(".f-{0}{{fill:{1}}}.s-{0}{{stroke:{1}}}", ink.name, ink.dark);
  }
  return light + "\n@media screen and (prefers-color-scheme:dark){" + dark + "}\n";
}

std::string css_variables() {
  std::string light, dark;
  for (const auto& ink : kPalette) {
    light += fmt::format("--{}:{};", ink.name, ink.light);
    dark += fmt::format("--{}:{};", ink.name, ink.dark);
  }
  return ":root{" + light + "}\n@media screen and (prefers-color-scheme:dark){:root{" + dark + "}}\n";
}

}  // namespace numapin
