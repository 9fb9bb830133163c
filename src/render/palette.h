// The colours of drawings and reports, light and dark; one table, so that contrast can be computed.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace numapin {

struct Ink {
  std::string_view name;         ///< CSS class and variable: f-NAME fills, s-NAME strokes, --NAME
  std::string_view light, dark;  ///< "#rrggbb"
};
std::span<const Ink> palette();

/// Text of one ink that stands on another; every pair is used, and must be readable (WCAG AA, 4.5 to 1).
struct TextOn {
  std::string_view text, ground;
};
std::span<const TextOn> texts_on_grounds();
/// Lines and shapes that carry meaning, on their ground (WCAG 1.4.11, 3 to 1).
std::span<const TextOn> shapes_on_grounds();
/// WCAG 2.1 contrast ratio of two "#rrggbb", 1 to 21.
double contrast(std::string_view a, std::string_view b);

/// GPUs of a node and the cores planned for them share a tint: "tint0" to "tint7".
constexpr int kTints = 8;
/// Cells of a heat map from low to high: "heat0" to "heat5".
constexpr int kHeats = 6;

/// ".f-card{fill:#fff}.s-card{stroke:#fff}...", and the same for the dark scheme in a media query. Literal colours:
/// viewers without CSS variables (librsvg, Inkscape) show them too.
std::string svg_css();
/// ":root{--card:#fff;...}" and its dark twin.
std::string css_variables();

}  // namespace numapin
