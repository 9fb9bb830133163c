// Corpus cases that are one text: what their tests share.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "corpus.h"
#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin::test {

struct TextCase {
  std::string name;
  std::string path;  ///< of the recording
  std::string text;  ///< its content
  nlohmann::json expected;
};
void PrintTo(const TextCase& c, std::ostream* out);

/// The cases in the folder `kind`, by name; none where the corpus is absent.
std::vector<TextCase> text_cases(std::string_view kind);

/// Says how many cases are skipped; fails when the corpus is there but has fewer than `count` cases.
void expect_corpus(std::string_view kind, int count);

/// A test name: letters, digits, underscores.
std::string case_name(const testing::TestParamInfo<TextCase>& info);

/// A list of the expected file as set; nothing for null.
std::optional<CpuSet> cpus_of_json(const nlohmann::json& list);
/// "8-15", or "unknown"
std::string show(const std::optional<CpuSet>& set);
std::string show(const std::optional<NodeSet>& set);

/// check() finds nothing wrong with the machine.
void expect_valid(const Machine& m);

/// Reads every beginning of the text (at some 100 places): no crash, and either an error or a valid machine.
void expect_truncation_is_safe(const std::string& text, Result<Machine> (*read)(std::string_view));

/// As above, and what a beginning that stops before byte `end` says of a GPU's node and CPUs is what the whole text says.
void expect_truncation_is_honest(const std::string& text, Result<Machine> (*read)(std::string_view),
                                 std::size_t end = std::string::npos);

}  // namespace numapin::test
