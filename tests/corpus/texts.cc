#include "texts.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <stdexcept>

#include "support/source_dir.h"

namespace numapin::test {
namespace {

/// Places to cut: each byte of a short text, else about 100 spread over it.
std::vector<std::size_t> cuts(const std::string& text) {
  constexpr std::size_t kMost = 100;
  std::vector<std::size_t> out;
  const auto step = std::max<std::size_t>(1, text.size() / kMost);
  for (std::size_t at = 0; at < text.size(); at += step) out.push_back(at);
  return out;
}

void expect_same_gpus(const Machine& part, const Machine& whole) {
  for (const auto& gpu : part.gpus) {
    const auto same = std::find_if(whole.gpus.begin(), whole.gpus.end(), [&](const Gpu& g) {
      return gpu.address ? g.address == gpu.address : g.name == gpu.name;
    });
    if (same == whole.gpus.end()) continue;
    const auto where = gpu.address ? gpu.address->to_string() : gpu.name;
    if (gpu.numa_nodes) {
      EXPECT_EQ(show(gpu.numa_nodes.value), show(same->numa_nodes.value)) << where;
    }
    if (gpu.local_cpus) {
      EXPECT_EQ(show(gpu.local_cpus.value), show(same->local_cpus.value)) << where;
    }
  }
}

}  // namespace

void PrintTo(const TextCase& c, std::ostream* out) { *out << c.path; }

std::vector<TextCase> text_cases(std::string_view kind) {
  std::vector<TextCase> cases;
  for (const auto& c : corpus_cases(std::string(kind)))
    cases.push_back({c.name, c.data.string(), read_file(c.data), read_json(c.expected).at("expected")});
  return cases;
}

void expect_corpus(std::string_view kind, int count) {
  if (!corpus_dir()) GTEST_SKIP() << count << " cases of " << kind << " skipped: ../shared/corpus is absent";
  EXPECT_GE(static_cast<int>(corpus_cases(std::string(kind)).size()), count);
}

std::string case_name(const testing::TestParamInfo<TextCase>& info) {
  return test_name({info.param.path, {}, info.param.name});
}

std::optional<CpuSet> cpus_of_json(const nlohmann::json& list) {
  if (list.is_null()) return std::nullopt;
  auto set = CpuSet::parse(list.get<std::string>());
  if (!set) throw std::runtime_error(set.error().message);
  return *set;
}

std::string show(const std::optional<CpuSet>& set) { return set ? set->to_list() : "unknown"; }
std::string show(const std::optional<NodeSet>& set) { return set ? set->to_list() : "unknown"; }

void expect_valid(const Machine& m) { EXPECT_THAT(check(m), testing::IsEmpty()); }

void expect_truncation_is_safe(const std::string& text, Result<Machine> (*read)(std::string_view)) {
  expect_truncation_is_honest(text, read, 0);
}

void expect_truncation_is_honest(const std::string& text, Result<Machine> (*read)(std::string_view), std::size_t end) {
  const auto whole = read(text);
  ASSERT_TRUE(whole) << whole.error().message;
  for (const auto at : cuts(text)) {
    SCOPED_TRACE("cut after " + std::to_string(at) + " bytes");
    const auto m = read(std::string_view(text).substr(0, at));
    if (m) {
      expect_valid(*m);
      if (at < end) expect_same_gpus(*m, *whole);
    } else {
      EXPECT_EQ(m.error().kind, Error::Kind::kBadInput);
    }
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace numapin::test
