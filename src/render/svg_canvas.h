// Shapes and text as SVG elements, coloured by the classes of palette.h. Pixels from the upper left corner.
#pragma once

#include <string>
#include <string_view>

namespace numapin {

/// A part of a drawing that can be put anywhere.
struct Drawing {
  double width = 0, height = 0;
  std::string body;
};

struct SvgText {
  double size = 11;
  std::string_view ink = "text";
  bool bold = false;
  enum class Anchor { kStart, kMiddle, kEnd } anchor = Anchor::kStart;
};

/// Width that the text takes at most in a common sans-serif face. DejaVu Sans is the widest of those that browsers fall
/// back to; its advance widths are behind these figures.
double text_width(std::string_view text, double size, bool bold = false);
/// The text, or as much of it as fits into `width` with an ellipsis behind.
std::string fitted_text(std::string_view text, double size, double width, bool bold = false);

class SvgCanvas {
 public:
  struct Box {
    double x, y, width, height, radius = 0;
  };
  /// `stroke` "" for none; `title` is what the pointer shows and a screen reader says.
  void rect(const Box& box, std::string_view fill, std::string_view stroke = "", std::string_view title = "");
  void dashed_rect(const Box& box, std::string_view stroke, std::string_view title = "");
  void line(double x1, double y1, double x2, double y2, std::string_view stroke, double width, bool dashed = false);
  void circle(double x, double y, double radius, std::string_view fill, std::string_view stroke);
  /// `y` is the base line.
  void text(double x, double y, std::string_view text, const SvgText& style = {});
  void put(const Drawing& drawing, double x, double y);

  const std::string& body() const { return body_; }

 private:
  void element(std::string text, std::string_view title, std::string_view name);
  std::string body_;
};

/// A whole <svg> element; `label` is its name for a screen reader. `css` is put inside where it stands alone in a file.
std::string svg_element(const Drawing& drawing, std::string_view label, std::string_view css = "");

}  // namespace numapin
