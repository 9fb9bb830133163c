// A page for `compare`: the sentence, the table, every run as a dot.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "numapin/compare.h"
#include "render/compare_words.h"
#include "render/palette.h"
#include "render/report_css.h"
#include "render/svg_canvas.h"
#include "render/xml_text.h"

namespace numapin {
namespace {

constexpr double kRow = 34, kDot = 4;

/// Widths of a plot: beside the names on a desk, a phone's.
struct Plot {
  double names, dots;
  int ticks;
};
constexpr Plot kDesk{130, 620, 4}, kPhone{82, 262, 2};

struct Scale {
  double low, high;
  Plot plot;
  double x(double value) const { return plot.names + plot.dots * (value - low) / (high - low); }
};

Scale scale_of(const MetricResult& r, const Plot& plot) {
  double low = 0, high = 0;
  bool any = false;
  for (const auto& config : r.configs)
    for (const double v : config.values) {
      low = any ? std::min(low, v) : v;
      high = any ? std::max(high, v) : v;
      any = true;
    }
  const double margin = high > low ? 0.05 * (high - low) : std::max(1e-9, 0.05 * high);
  return {low - margin, high + margin, plot};
}

/// A row of dots a configuration, in the order of the rounds from top to bottom of the row; a bar at the median.
Drawing dots(const Comparison& c, const MetricResult& r, const Plot& plot) {
  SvgCanvas canvas;
  const auto scale = scale_of(r, plot);
  const double right = plot.names + plot.dots;
  for (std::size_t i = 0; i < r.configs.size(); ++i) {
    const double top = kRow * static_cast<double>(i);
    const auto& config = r.configs[i];
    canvas.text(0, top + kRow / 2 + 4, fitted_text(c.configs[i].name, 13, plot.names - 10), {.size = 13, .bold = i == 0});
    canvas.line(plot.names, top + kRow, right, top + kRow, "line", 1);
    const auto count = static_cast<double>(std::max<std::size_t>(config.values.size(), 1));
    for (std::size_t k = 0; k < config.values.size(); ++k) {
      const double y = top + 7 + (kRow - 14) * (static_cast<double>(k) + 0.5) / count;
      canvas.circle(scale.x(config.values[k]), y, kDot, "accent", "card");
    }
    if (config.median) canvas.line(scale.x(*config.median), top + 4, scale.x(*config.median), top + kRow - 4, "text", 2);
  }
  const double bottom = kRow * static_cast<double>(r.configs.size());
  for (int tick = 0; tick <= plot.ticks; ++tick) {
    const double value = scale.low + (scale.high - scale.low) * tick / plot.ticks;
    const auto anchor = tick == 0 ? SvgText::Anchor::kStart : tick == plot.ticks ? SvgText::Anchor::kEnd : SvgText::Anchor::kMiddle;
    canvas.text(scale.x(value), bottom + 16, metric_figure(value), {.size = 12, .ink = "muted", .anchor = anchor});
  }
  return {right + 8, bottom + 22, canvas.body()};
}

std::string cell_html(std::string_view name, const std::string& html) { return fmt::format("<td data-name=\"{}\">{}</td>", name, html); }

std::string head_html(const std::vector<std::string_view>& names) {
  std::string text = "<table class=\"wide stack\">\n<thead><tr>";
  for (const auto name : names) text += fmt::format("<th scope=\"col\">{}</th>", name);
  return text + "</tr></thead>\n<tbody>\n";
}

std::string verdict_html(const ConfigResult& r, const CompareWords& words) {
  const char* state = r.effect.verdict == PairedEffect::Verdict::kBetter  ? "good"
                      : r.effect.verdict == PairedEffect::Verdict::kWorse ? "bad"
                                                                    : "muted";
  return words.verdict.empty() ? "" : fmt::format("<span class=\"{}\">{}</span>", state, xml_text(words.verdict));
}

std::string table_html(const Comparison& c, const MetricResult& r) {
  const bool p99 = std::any_of(r.configs.begin(), r.configs.end(), [](const ConfigResult& one) { return one.p99.has_value(); });
  std::vector<std::string_view> names{"configuration", "median", "relative", "95 % interval", "verdict"};
  if (p99) names.insert(names.begin() + 2, "P99");
  auto text = head_html(names);
  for (std::size_t i = 0; i < r.configs.size(); ++i) {
    const auto words = compare_words(r.configs[i], i == 0);
    text += fmt::format("<tr><th scope=\"row\">{}</th>", xml_text(c.configs[i].name)) + cell_html("median", words.median) +
            (p99 ? cell_html("P99", words.p99) : "") + cell_html("relative", words.relative) +
            cell_html("95 % interval", words.interval) + cell_html("verdict", verdict_html(r.configs[i], words)) + "</tr>\n";
  }
  return text + "</tbody></table>\n";
}

std::string metric_section(const Comparison& c, std::size_t metric) {
  const auto r = evaluate(c, metric);
  const auto& spec = c.metrics[metric];
  auto text = fmt::format("<section>\n<h2>{}</h2>\n<p class=\"muted\">{} is better. One dot a run, the first rounds on top; the bar is "
                          "the median.</p>\n", xml_text(to_string(spec)), spec.higher_is_better ? "Higher" : "Lower");
  const auto title = "every run of each configuration: " + to_string(spec);
  text += fmt::format("<div class=\"card few\"><div class=\"wide-drawing\">{}</div><div class=\"narrow\">{}</div>\n{}",
                      svg_element(dots(c, r, kDesk), title), svg_element(dots(c, r, kPhone), title), table_html(c, r));
  if (r.drifted) text += "<p><span class=\"state warn\">Drift:</span> " + xml_text(drift_sentence(c, r)) + "</p>\n";
  return text + "</div>\n</section>\n";
}

std::string why_section(const Comparison& c) {
  constexpr std::array<std::string_view, 8> kNames = {"configuration", "wall time", "CPU time", "max RSS", "context switches", "migrations",
                                                      "NUMA misses", "memory"};
  auto text = "<section>\n<h2>Why</h2>\n<p class=\"muted\">Medians of what else was seen of the runs; NUMA misses are the whole "
              "machine's.</p>\n<div class=\"card\">" + head_html({kNames.begin(), kNames.end()});
  for (const auto& row : why_cells(c)) {
    text += fmt::format("<tr><th scope=\"row\">{}</th>", xml_text(row[0].text()));
    for (std::size_t i = 1; i < row.size(); ++i) text += cell_html(kNames[i], xml_text(row[i].text()));
    text += "</tr>\n";
  }
  return text + "</tbody></table>\n</div>\n</section>\n";
}

std::string placement_section(const Comparison& c) {
  auto text = "<section>\n<h2>What was compared</h2>\n<div class=\"card\">" + head_html({"configuration", "command line", "placement"});
  for (const auto& config : c.configs)
    text += fmt::format("<tr><th scope=\"row\">{}</th>", xml_text(config.name)) +
            cell_html("command line", "<code>" + xml_text(config.stands_for) + "</code>") + cell_html("placement", xml_text(config.what)) + "</tr>\n";
  return text + "</tbody></table>\n</div>\n</section>\n";
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
  text += why_section(c) + placement_section(c);
  const auto failures = failure_lines(c);
  if (!failures.empty()) {
    text += "<section>\n<h2>Failures</h2>\n<pre>";
    for (const auto& line : failures) text += xml_text(line) + "\n";
    text += "</pre>\n</section>\n";
  }
  return text + "</main>\n<footer><p>Intervals and verdicts hold for all comparisons together (Bonferroni); outliers are kept.</p></footer>\n</body>\n</html>\n";
}

}  // namespace numapin
