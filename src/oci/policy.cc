#include "oci/policy.h"

#include "base/text.h"

namespace numapin::oci {
namespace {

bool apply_word(std::string_view word, Policy& p) {
  constexpr std::string_view kMemory = "memory=";
  if (word == "auto") p = Policy{.unknown = std::move(p.unknown)};
  else if (word == "off") p.off = true;
  else if (word == "strict") p.strict = true;
  else if (word == "smt-off") p.smt = false;
  else if (word.starts_with(kMemory)) {
    const auto mode = parse_memory_mode(word.substr(kMemory.size()));
    if (!mode) return false;
    p.memory = *mode;
  } else {
    const auto scope = parse_cpu_scope(word);
    if (!scope) return false;
    p.cpus = *scope;
  }
  return true;
}

}  // namespace

void apply_words(std::string_view words, Policy& p) {
  for (const auto field : split(words, ','))
    for (const auto word : split_words(field))
      if (!apply_word(word, p)) p.unknown.emplace_back(word);
}

}  // namespace numapin::oci
