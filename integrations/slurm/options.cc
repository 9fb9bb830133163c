#include "options.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace numapin_spank {
namespace {

constexpr std::string_view kMemoryModes[] = {"preferred", "bind", "interleave", "weighted-interleave", "local", "default", "none"};

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool apply_word(std::string_view word, Options& to) {
  if (word == "auto") {  // all but how to tell
    const Options plain;
    to.on = true, to.cpus = plain.cpus, to.smt = plain.smt, to.memory = plain.memory;
  } else if (word == "off") {
    to.on = false;
  } else if (word == "node" || word == "l3" || word == "exclusive") {
    to.on = true, to.cpus = word;
  } else if (word == "smt-off") {
    to.on = true, to.smt = false;
  } else if (word == "verbose") {
    to.verbose = true;
  } else if (word == "dry-run") {
    to.dry_run = to.verbose = true;
  } else if (word == "strict") {
    to.strict = true;
  } else if (constexpr std::string_view kMemory = "memory="; word.starts_with(kMemory)) {
    const auto mode = word.substr(kMemory.size());
    if (std::find(std::begin(kMemoryModes), std::end(kMemoryModes), mode) == std::end(kMemoryModes)) return false;
    to.on = true, to.memory = mode;
  } else {
    return false;
  }
  return true;
}

bool take_value(std::string_view argument, std::string_view key, std::string& to) {
  if (!argument.starts_with(key)) return false;
  to = argument.substr(key.size());
  return true;
}

/// The digits of "0x00F3", lowest first; nothing where it is no mask.
std::optional<std::string> mask_digits(std::string_view mask) {
  if (mask.starts_with("0x") || mask.starts_with("0X")) mask.remove_prefix(2);
  if (mask.empty() || mask.find_first_not_of("0123456789abcdefABCDEF") != mask.npos) return std::nullopt;
  std::string digits(mask.rbegin(), mask.rend());
  for (char& c : digits) c = static_cast<char>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  return digits;
}

}  // namespace

const char kWords[] =
    "auto, off, node, l3, exclusive, smt-off, memory=preferred|bind|interleave|weighted-interleave|local|default|none, verbose, dry-run, strict";

std::string apply_words(std::string_view list, Options& to) {
  std::string wrong;
  for (const auto word : split(list, ','))
    if (!apply_word(word, to) && wrong.empty()) wrong = word.empty() ? "(nothing)" : word.substr(0, 200);
  return wrong;
}

Site read_site(const std::vector<std::string_view>& arguments) {
  Site site;
  for (const auto argument : arguments) {
    if (argument == "forbid") site.forbids = true;
    else if (take_value(argument, "library=", site.library) || take_value(argument, "machine=", site.machine)) continue;
    else if (!apply_words(argument, site.defaults).empty()) site.mistakes.emplace_back(argument);
  }
  return site;
}

Effective effective(const Site& site, const std::optional<std::string>& user) {
  Effective out{site.defaults, ""};
  if (!user) return out;
  Options asked = site.defaults;
  if (const auto wrong = apply_words(*user, asked); !wrong.empty()) out.ignored = "no such word: " + wrong;
  if (!site.forbids) {
    out.options = asked;
    return out;
  }
  out.options.verbose = asked.verbose;
  if (!(asked == out.options)) out.ignored = "this site does not let users choose (plugstack.conf: forbid)";
  return out;
}

bool has_own_masks(std::string_view cpu_bind, unsigned tasks) {
  const auto at = cpu_bind.find("mask_cpu:");
  if (at == cpu_bind.npos) return false;
  const auto masks = split(cpu_bind.substr(at + std::string_view("mask_cpu:").size()), ',');
  if (masks.size() < tasks) return false;
  std::string taken;
  for (const auto mask : masks) {
    const auto digits = mask_digits(mask);
    if (!digits) return false;
    taken.resize(std::max(taken.size(), digits->size()), 0);
    for (std::size_t i = 0; i < digits->size(); ++i) {
      if ((taken[i] & (*digits)[i]) != 0) return false;
      taken[i] = static_cast<char>(taken[i] | (*digits)[i]);
    }
  }
  return true;
}

}  // namespace numapin_spank
