#include "diagnose/slurm_conf.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin::doctor {
namespace {

/// What stands before a "#" that no backslash escapes.
std::string_view without_comment(std::string_view line) {
  auto at = line.find('#');
  while (at != line.npos && at > 0 && line[at - 1] == '\\') at = line.find('#', at + 1);
  return trim(line.substr(0, at));
}

constexpr std::string_view kBlanks = " \t\r";

/// Takes "Key = value " or "Key="several words" " off the front; nothing where the rest is none.
std::optional<std::pair<std::string, std::string>> take_pair(std::string_view& rest) {
  rest = trim(rest);
  const auto equals = rest.find('=');
  if (equals == rest.npos || equals == 0) return std::nullopt;
  std::string key(trim(rest.substr(0, equals)));
  // "Features=x CPUs=4": what stands before the last blank is no key, but a word without a value
  if (const auto blank = key.find_last_of(kBlanks); blank != key.npos) key.erase(0, blank + 1);
  rest = trim(rest.substr(equals + 1));
  std::string_view value;
  if (rest.starts_with('"')) {
    const auto close = rest.find('"', 1);
    value = rest.substr(1, close == rest.npos ? close : close - 1);
    rest = close == rest.npos ? std::string_view() : rest.substr(close + 1);
  } else {
    value = rest.substr(0, rest.find_first_of(kBlanks));
    rest.remove_prefix(value.size());
  }
  return std::pair(std::move(key), std::string(value));
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

/// "/dev/nvidia[0-3],/dev/nvidia7" -> each file.
std::vector<std::string> files_of(std::string_view list) {
  std::vector<std::string> out;
  for (const auto& item : host_items(list)) {
    const auto open = item.find('['), close = item.find(']');
    const auto numbers = open < close && close != item.npos ? CpuSet::parse(item.substr(open + 1, close - open - 1)) : bad_input("");
    if (!numbers) out.push_back(item);
    else
      for (const auto n : *numbers) out.push_back(item.substr(0, open) + std::to_string(number(n)) + item.substr(close + 1));
  }
  return out;
}

}  // namespace

std::optional<std::string> ConfLine::value(std::string_view key) const {
  for (auto it = pairs.rbegin(); it != pairs.rend(); ++it)
    if (to_lower(it->first) == to_lower(key)) return it->second;
  return std::nullopt;
}

std::vector<ConfLine> conf_lines(std::string_view text) {
  std::vector<ConfLine> out;
  std::string whole;
  for (const auto line : split_lines(text)) {
    auto plain = without_comment(line);
    const bool goes_on = plain.ends_with('\\');
    if (goes_on) plain.remove_suffix(1);
    whole += (whole.empty() ? "" : " ") + std::string(trim(plain));
    if (goes_on) continue;
    ConfLine parsed{std::string(trim(whole)), {}};
    std::string_view rest = whole;
    while (auto pair = take_pair(rest)) parsed.pairs.push_back(std::move(*pair));
    if (!parsed.text.empty()) out.push_back(std::move(parsed));
    whole.clear();
  }
  return out;
}

std::optional<std::string> conf_value(std::string_view text, std::string_view key) {
  std::optional<std::string> found;
  for (const auto& line : conf_lines(text))
    if (auto value = line.value(key)) found = std::move(value);
  return found;
}

bool names_host(std::string_view list, std::string_view host) {
  if (list.empty() || host.empty()) return true;
  const auto items = host_items(list);
  const auto own = host.substr(0, host.find('.'));
  return std::any_of(items.begin(), items.end(), [&](const std::string& item) { return matches(item, own) || matches(item, host); });
}

std::optional<ConfLine> node_conf(std::string_view text, std::string_view host) {
  ConfLine defaults;
  for (const auto& line : conf_lines(text)) {
    if (line.pairs.empty() || to_lower(line.pairs[0].first) != "nodename") continue;
    const auto& name = line.pairs[0].second;
    if (to_lower(name) == "default") defaults.pairs.insert(defaults.pairs.end(), line.pairs.begin() + 1, line.pairs.end());
    else if (!host.empty() && names_host(name, host)) {
      ConfLine found{line.text, defaults.pairs};
      found.pairs.insert(found.pairs.end(), line.pairs.begin(), line.pairs.end());
      return found;
    }
  }
  return std::nullopt;
}

GresLines gres_lines(std::string_view text, std::string_view host) {
  GresLines out;
  for (const auto& line : conf_lines(text)) {
    if (!names_host(line.value("NodeName").value_or(""), host)) continue;
    if (const auto how = line.value("AutoDetect")) out.auto_detect = to_lower(*how) != "off";
    const auto file = line.value("File");
    if (to_lower(line.value("Name").value_or("")) != "gpu" || !file) continue;
    GresLine gpu{line.text, files_of(*file), std::nullopt};
    if (const auto cores = line.value("Cores"))
      if (const auto set = CpuSet::parse(*cores)) gpu.cores = *set;
    out.gpus.push_back(std::move(gpu));
  }
  return out;
}

}  // namespace numapin::doctor
