// A page for `compare`: the sentence, the table, every run as a dot.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "numapin/compare.h"
#include "render/compare_words.h"
#include "render/palette.h"
#include "render/report_css.h"
#include "render/svg_canvas.h"
#include "render/xml_text.h"

namespace numapin {
namespace {

constexpr double kNameWidth = 130, kPlotWidth = 620, kRow = 34, kDot = 4;

struct Scale {
  double low, high;
  double x(double value) const { return kNameWidth + kPlotWidth * (value - low) / (high - low); }
};

Scale scale_of(const MetricResult& r) {
  double low = 0, high = 0;
  bool any = false;
  for (const auto& config : r.configs)
    for (const double v : config.values) {
      low = any ? std::min(low, v) : v;
      high = any ? std::max(high, v) : v;
      any = true;
    }
  const double margin = high > low ? 0.05 * (high - low) : std::max(1e-9, 0.05 * high);
  return {low - margin, high + margin};
}

/// A row of dots a configuration, in the order of the rounds from top to bottom of the row; a bar at the median.
Drawing dots(const Comparison& c, const MetricResult& r) {
  SvgCanvas canvas;
  const auto scale = scale_of(r);
  for (std::size_t i = 0; i < r.configs.size(); ++i) {
    const double top = kRow * static_cast<double>(i);
    const auto& config = r.configs[i];
    canvas.text(0, top + kRow / 2 + 4, fitted_text(c.configs[i].name, 13, kNameWidth - 10), {.size = 13, .bold = i == 0});
    canvas.line(kNameWidth, top + kRow, kNameWidth + kPlotWidth, top + kRow, "line", 1);
    const auto count = static_cast<double>(std::max<std::size_t>(config.values.size(), 1));
    for (std::size_t k = 0; k < config.values.size(); ++k) {
      const double y = top + 7 + (kRow - 14) * (static_cast<double>(k) + 0.5) / count;
      canvas.circle(scale.x(config.values[k]), y, kDot, "accent", "card");
    }
    if (config.median) canvas.line(scale.x(*config.median), top + 4, scale.x(*config.median), top + kRow - 4, "text", 2);
  }
  const double bottom = kRow * static_cast<double>(r.configs.size());
  for (int tick = 0; tick <= 4; ++tick) {
    const double value = scale.low + (scale.high - scale.low) * tick / 4;
    const auto anchor = tick == 0 ? SvgText::Anchor::kStart : tick == 4 ? SvgText::Anchor::kEnd : SvgText::Anchor::kMiddle;
    canvas.text(scale.x(value), bottom + 16, metric_figure(value), {.size = 12, .ink = "muted", .anchor = anchor});
  }
  return {kNameWidth + kPlotWidth + 8, bottom + 22, canvas.body()};
}

std::string table_html(const Comparison& c, const MetricResult& r) {
  std::string text = "<table class=\"wide stack\">\n<thead><tr>";
  for (const char* name : {"configuration", "median", "relative", "95 % interval", "verdict", "command line"})
    text += fmt::format("<th scope=\"col\">{}</th>", name);
  text += "</tr></thead>\n<tbody>\n";
  const auto cell = [](std::string_view name, const std::string& html) { return fmt::format("<td data-name=\"{}\">{}</td>", name, html); };
  for (std::size_t i = 0; i < r.configs.size(); ++i) {
    const auto words = compare_words(r.configs[i], i == 0);
    const char* state = r.configs[i].effect.verdict == Effect::Verdict::kBetter ? "good"
                        : r.configs[i].effect.verdict == Effect::Verdict::kWorse ? "bad" : "muted";
    text += fmt::format("<tr><th scope=\"row\">{}</th>", xml_text(c.configs[i].name)) + cell("median", words.median) +
            cell("relative", words.relative) + cell("95 % interval", words.interval) +
            cell("verdict", fmt::format("<span class=\"{}\">{}</span>", state, xml_text(words.verdict))) +
            cell("command line", "<code>" + xml_text(c.configs[i].stands_for) + "</code>") + "</tr>\n";
  }
  return text + "</tbody></table>\n";
}

std::string metric_section(const Comparison& c, std::size_t metric) {
  const auto r = evaluate(c, metric);
  const auto& spec = c.metrics[metric];
  auto text = fmt::format("<section>\n<h2>{}</h2>\n<p class=\"muted\">{} is better. One dot a run, the first rounds on top; the bar is "
                          "the median.</p>\n", xml_text(to_string(spec)), spec.higher_is_better ? "Higher" : "Lower");
  text += "<div class=\"card\">" + svg_element(dots(c, r), "every run of each configuration: " + to_string(spec)) + "</div>\n";
  return text + table_html(c, r) + "</section>\n";
}

}  // namespace

std::string compare_html(const Comparison& c) {
  auto text = fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
                          "content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light dark\"/>\n"
                          "<title>compare: {}</title>\n<style>{}{}{}.card svg{{display:block;width:100%;max-width:860px;height:auto}}</style>\n"
                          "</head>\n<body>\n", xml_text(join(c.command, " ")), css_variables(), svg_css(), kReportCss);
  text += fmt::format("<header>\n<h1>Does binding help?</h1>\n<p><code>{}</code></p>\n<p class=\"answer\">{}</p>\n", xml_text(join(c.command, " ")),
                      xml_text(conclusion(c)));
  if (!c.stopped.empty()) text += fmt::format("<p class=\"muted\">{}</p>\n", xml_text(c.stopped));
  text += "</header>\n<main>\n";
  for (std::size_t i = 0; i < c.metrics.size(); ++i) text += metric_section(c, i);
  const auto failures = failure_lines(c);
  if (!failures.empty()) {
    text += "<section>\n<h2>Failures</h2>\n<pre>";
    for (const auto& line : failures) text += xml_text(line) + "\n";
    text += "</pre>\n</section>\n";
  }
  return text + "</main>\n<footer><p>Intervals and verdicts hold for all comparisons together (Bonferroni); outliers are kept.</p></footer>\n</body>\n</html>\n";
}

}  // namespace numapin
