#include "render/svg_canvas.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/layout.h"
#include "render/xml_text.h"

namespace numapin {
namespace {

/// A tenth of a pixel is enough, and "12" is shorter than "12.0".
std::string px(double v) {
  auto text = fmt::format("{:.1f}", v);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

/// In parts of the font's size.
double advance(unsigned char c) {
  if (c >= 0xf0 || (c >= 0xe3 && c <= 0xef)) return 1.0;  // CJK and emoji are square
  if (c >= 0xc0) return 0.7;
  if (c >= 0x80) return 0;  // continues a character
  if (std::string_view(" .,:;/|'!Iijl()[]").find(static_cast<char>(c)) != std::string_view::npos) return 0.4;
  if (std::string_view("frt-").find(static_cast<char>(c)) != std::string_view::npos) return 0.42;
  if (std::string_view("mW%@").find(static_cast<char>(c)) != std::string_view::npos) return 0.99;
  if (std::string_view("wM").find(static_cast<char>(c)) != std::string_view::npos) return 0.86;
  if (c >= 'A' && c <= 'Z') return 0.74;
  return 0.636;
}

constexpr double kBoldFactor = 1.12;
constexpr std::string_view kEllipsis = "…";

}  // namespace

double text_width(std::string_view text, double size, bool bold) {
  double width = 0;
  for (const char c : text) width += advance(static_cast<unsigned char>(c));
  return width * size * (bold ? kBoldFactor : 1);
}

std::string fitted_text(std::string_view text, double size, double width, bool bold) {
  if (text_width(text, size, bold) <= width) return std::string(text);
  std::string cut(text);
  const auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  do {
    while (!cut.empty() && is_continuation(cut.back())) cut.pop_back();
    if (!cut.empty()) cut.pop_back();
  } while (!cut.empty() && text_width(cut, size, bold) + size > width);
  return cut.empty() ? "" : cut + std::string(kEllipsis);
}

void SvgCanvas::element(std::string text, std::string_view title, std::string_view name) {
  body_ += text;
  body_ += title.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", xml_text(title), name);
}

void SvgCanvas::rect(const Box& b, std::string_view fill, std::string_view stroke, std::string_view title) {
  element(fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{} class=\"f-{}{}\"", px(b.x), px(b.y), px(b.width),
                      px(b.height), b.radius > 0 ? fmt::format(" rx=\"{}\"", px(b.radius)) : "", fill,
                      stroke.empty() ? "" : fmt::format(" s-{}", stroke)),
          title, "rect");
}

void SvgCanvas::dashed_rect(const Box& b, std::string_view stroke, std::string_view title) {
  element(fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"none\" stroke-dasharray=\"2 2\" "
                      "class=\"s-{}\"", px(b.x), px(b.y), px(b.width), px(b.height), px(b.radius), stroke),
          title, "rect");
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, std::string_view stroke, double width, bool dashed) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke-width=\"{}\"{} class=\"s-{}\"/>\n", px(x1), px(y1),
                       px(x2), px(y2), px(width), dashed ? " stroke-dasharray=\"3 2\"" : "", stroke);
}

void SvgCanvas::circle(double x, double y, double radius, std::string_view fill, std::string_view stroke) {
  body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" class=\"f-{} s-{}\"/>\n", px(x), px(y), px(radius), fill, stroke);
}

void SvgCanvas::text(double x, double y, std::string_view text, const SvgText& style) {
  if (text.empty()) return;
  const auto anchor = style.anchor == SvgText::Anchor::kMiddle ? " text-anchor=\"middle\""
                      : style.anchor == SvgText::Anchor::kEnd  ? " text-anchor=\"end\""
                                                               : "";
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}{} class=\"f-{}\">{}</text>\n", px(x), px(y), px(style.size),
                       style.bold ? " font-weight=\"600\"" : "", anchor, style.ink, xml_text(text));
}

void SvgCanvas::put(const Drawing& drawing, double x, double y) {
  body_ += fmt::format("<g transform=\"translate({} {})\">\n{}</g>\n", px(x), px(y), drawing.body);
}

std::string svg_element(const Drawing& d, std::string_view label, std::string_view css) {
  constexpr std::string_view kFont = "system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans','DejaVu Sans',sans-serif";
  const auto style = css.empty() ? "" : fmt::format("<style>{}</style>\n", css);
  return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {} {}\" width=\"{}\" "
                     "height=\"{}\" font-family=\"{}\">\n{}{}</svg>\n",
                     xml_text(label), px(d.width), px(d.height), px(d.width), px(d.height), kFont, style, d.body);
}

}  // namespace numapin
