#include "render/svg_canvas.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

TEST(FittedText, KeepsWhatFits) { EXPECT_EQ(fitted_text("GPU 0", 11, 100), "GPU 0"); }

TEST(FittedText, CutsAtACharacterAndStaysWithinTheWidth) {
  const std::string name = "NVIDIA Größe 測試 H100";
  for (double width = 0; width < 200; width += 3) {
    const auto text = fitted_text(name, 11, width);
    EXPECT_LE(text_width(text, 11), std::max(width, 0.0)) << text;
    if (text != name && !text.empty()) {
      EXPECT_TRUE(text.ends_with("…"));
      const auto kept = text.substr(0, text.size() - std::string("…").size());
      EXPECT_TRUE(name.starts_with(kept));
      EXPECT_NE(static_cast<unsigned char>(name[kept.size()]) & 0xc0, 0x80) << "cut inside a character: " << text;
    }
  }
}

TEST(SvgCanvas, EscapesTextAndTitles) {
  SvgCanvas canvas;
  canvas.text(1, 2, "<a>");
  canvas.rect({0, 0, 1.25, 2}, "card", "line", "\"&");
  EXPECT_EQ(canvas.body(),
            "<text x=\"1\" y=\"2\" font-size=\"11\" class=\"f-text\">&lt;a&gt;</text>\n"
            "<rect x=\"0\" y=\"0\" width=\"1.2\" height=\"2\" class=\"f-card s-line\"><title>&quot;&amp;</title></rect>\n");
}

}  // namespace
}  // namespace numapin
