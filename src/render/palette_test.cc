#include "render/palette.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace numapin {
namespace {

const Ink& ink(std::string_view name) {
  const auto all = palette();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Ink& i) { return i.name == name; });
  EXPECT_NE(found, all.end()) << "no ink " << name;
  return *found;
}

TEST(Contrast, IsThatOfWcag) {
  EXPECT_NEAR(contrast("#000000", "#ffffff"), 21.0, 0.001);
  EXPECT_NEAR(contrast("#ffffff", "#ffffff"), 1.0, 0.001);
  EXPECT_NEAR(contrast("#777777", "#ffffff"), 4.48, 0.005);  // the well-known grey that just fails
  EXPECT_NEAR(contrast("#ffffff", "#0000ff"), 8.59, 0.005);
}

TEST(Palette, TextIsReadableInBothSchemes) {
  for (const auto& [text, ground] : texts_on_grounds()) {
    EXPECT_GE(contrast(ink(text).light, ink(ground).light), 4.5) << text << " on " << ground << ", light";
    EXPECT_GE(contrast(ink(text).dark, ink(ground).dark), 4.5) << text << " on " << ground << ", dark";
  }
}

TEST(Palette, ShapesStandOutInBothSchemes) {
  for (const auto& [shape, ground] : shapes_on_grounds()) {
    EXPECT_GE(contrast(ink(shape).light, ink(ground).light), 3.0) << shape << " on " << ground << ", light";
    EXPECT_GE(contrast(ink(shape).dark, ink(ground).dark), 3.0) << shape << " on " << ground << ", dark";
  }
}

TEST(Palette, HasEveryTintAndHeat) {
  for (int i = 0; i < kTints; ++i) ink("tint" + std::to_string(i));
  for (int i = 0; i < kHeats; ++i) ink("heat" + std::to_string(i));
}

TEST(Palette, CssNamesEveryInkTwice) {
  const auto css = svg_css();
  for (const auto& i : palette()) {
    EXPECT_NE(css.find(".f-" + std::string(i.name) + "{fill:" + std::string(i.light)), css.npos) << i.name;
    EXPECT_NE(css.find(".s-" + std::string(i.name) + "{stroke:" + std::string(i.dark)), css.npos) << i.name;
  }
}

}  // namespace
}  // namespace numapin
