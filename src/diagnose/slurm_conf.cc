#include "diagnose/slurm_conf.h"

#include <algorithm>
#include <tuple>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin::doctor {
namespace {

std::string_view without_comment(std::string_view line) { return trim(line.substr(0, line.find('#'))); }

/// The value of " Key=" in a line of several.
std::optional<std::string> value_in(std::string_view line, std::string_view key) {
  for (const auto word : split_words(line)) {
    const auto equals = word.find('=');
    if (equals != word.npos && to_lower(word.substr(0, equals)) == to_lower(key)) return std::string(word.substr(equals + 1));
  }
  return std::nullopt;
}

/// Commas outside brackets part the items.
std::vector<std::string> host_items(std::string_view list) {
  std::vector<std::string> items(1);
  int depth = 0;
  for (const char c : list) {
    if (c == '[') ++depth;
    if (c == ']') --depth;
    if (c == ',' && depth == 0) items.emplace_back();
    else items.back() += c;
  }
  return items;
}

/// "n[1-4,7]x" and "n3x"; leading zeros ("n[01-12]") are part of the name.
bool matches(std::string_view item, std::string_view host) {
  const auto open = item.find('['), close = item.find(']');
  if (open == item.npos || close == item.npos || close < open) return item == host;
  const auto before = item.substr(0, open), behind = item.substr(close + 1);
  if (host.size() < before.size() + behind.size() || !host.starts_with(before) || !host.ends_with(behind)) return false;
  const auto digits = host.substr(before.size(), host.size() - before.size() - behind.size());
  const auto number_of_host = parse_number<int>(digits);
  if (!number_of_host) return false;
  for (const auto range : split(item.substr(open + 1, close - open - 1), ',')) {
    const auto dash = range.find('-');
    const auto low = parse_number<int>(range.substr(0, dash));
    const auto high = dash == range.npos ? low : parse_number<int>(range.substr(dash + 1));
    if (low && high && *low <= *number_of_host && *number_of_host <= *high && digits.size() >= std::min(range.size(), dash)) return true;
  }
  return false;
}

/// "/dev/nvidia[0-3]", "/dev/nvidia0,/dev/nvidia2"
CpuSet minors_of(std::string_view file) {
  constexpr std::string_view kPrefix = "/dev/nvidia";
  CpuSet out;
  for (const auto& item : host_items(file)) {
    std::string_view rest = item;
    if (!rest.starts_with(kPrefix)) continue;
    rest.remove_prefix(kPrefix.size());
    if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
    if (const auto set = CpuSet::parse(rest)) out |= *set;
  }
  return out;
}

}  // namespace

std::optional<std::string> conf_value(std::string_view text, std::string_view key) {
  std::optional<std::string> found;
  for (const auto line : split_lines(text)) {
    const auto plain = without_comment(line);
    const auto equals = plain.find('=');
    if (equals != plain.npos && to_lower(trim(plain.substr(0, equals))) == to_lower(key)) found = std::string(trim(plain.substr(equals + 1)));
  }
  return found;
}

bool names_host(std::string_view list, std::string_view host) {
  if (list.empty() || host.empty()) return true;
  const auto items = host_items(list);
  const auto own = host.substr(0, host.find('.'));
  return std::any_of(items.begin(), items.end(), [&](const std::string& item) { return matches(item, own) || matches(item, host); });
}

GresLines gres_lines(std::string_view text, std::string_view host) {
  GresLines out;
  for (const auto line : split_lines(text)) {
    const auto plain = without_comment(line);
    if (plain.empty() || !names_host(value_in(plain, "NodeName").value_or(""), host)) continue;
    if (const auto how = value_in(plain, "AutoDetect")) out.auto_detect = to_lower(*how) != "off";
    const auto file = value_in(plain, "File");
    if (to_lower(value_in(plain, "Name").value_or("")) != "gpu" || !file) continue;
    GresLine gpu{std::string(plain), minors_of(*file), std::nullopt};
    if (const auto cores = value_in(plain, "Cores"))
      if (const auto set = CpuSet::parse(*cores)) gpu.cores = *set;
    if (!gpu.minors.empty()) out.gpus.push_back(std::move(gpu));
  }
  return out;
}

CpuSet slurm_cores(const Machine& m, const NodeSet& nodes) {
  // As hwloc, by which Slurm counts: packages, nodes and cores each in the order of their first CPUs, not of their ids.
  const auto key = [&](const Core& c) {
    CpuSet package = c.cpus, node = c.cpus;
    for (const auto& p : m.packages)
      if (c.package == p.id && !p.cpus.empty()) package = p.cpus;
    if (const auto* n = c.node ? find_node(m, *c.node) : nullptr; n != nullptr && n->cpus && !n->cpus->empty()) node = *n->cpus;
    return std::tuple(number(package.first()), number(node.first()), number(c.cpus.first()));
  };
  auto cores = m.cores;
  std::sort(cores.begin(), cores.end(), [&](const Core& a, const Core& b) { return key(a) < key(b); });
  CpuSet out;
  for (std::size_t i = 0; i < cores.size(); ++i)
    if (cores[i].node && nodes.contains(*cores[i].node)) out.insert(CpuId{static_cast<int>(i)});
  return out;
}

}  // namespace numapin::doctor
