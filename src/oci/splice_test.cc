#include "oci/splice.h"

#include <gtest/gtest.h>

#include "base/json_text.h"

namespace numapin::oci {
namespace {

const std::vector<std::string> kPath = {"linux", "cpu", "cpus"};

TEST(WithMember, ReplacesOneValueAndNothingElse) {
  EXPECT_EQ(with_member(R"( {"a": 1e400,  "linux" : {"cpu":{"x":[{"cpus":1}] , "cpus" :"0-7", "y":"}"}}, "z":12345678901234567890123} )", kPath, "\"3\""),
            R"( {"a": 1e400,  "linux" : {"cpu":{"x":[{"cpus":1}] , "cpus" :"3", "y":"}"}}, "z":12345678901234567890123} )");
}

TEST(WithMember, MakesWhatIsMissing) {
  EXPECT_EQ(with_member("{}", kPath, "1"), R"({"linux":{"cpu":{"cpus":1}}})");
  EXPECT_EQ(with_member("{ \"a\":[] }", kPath, "1"), R"({"linux":{"cpu":{"cpus":1}}, "a":[] })");
  EXPECT_EQ(with_member(R"({"linux":{}})", kPath, "1"), R"({"linux":{"cpu":{"cpus":1}}})");
  EXPECT_EQ(with_member(R"({"linux":{"cpu":{"shares":2}}})", kPath, "1"), R"({"linux":{"cpu":{"cpus":1,"shares":2}}})");
  EXPECT_EQ(with_member(R"({"linux":null,"b":0})", kPath, "1"), R"({"linux":{"cpu":{"cpus":1}},"b":0})");
  EXPECT_EQ(with_member(R"({"linux":{"cpu":null}})", kPath, "1"), R"({"linux":{"cpu":{"cpus":1}}})");
}

TEST(WithMember, IsNotMisledByStrings) {
  const std::string text = R"({"a":"\"linux\":{\\","b":["linux",{"linux":{"cpu":{"cpus":9}}}],"linux":{"cpu":{"cpus":null}}})";
  EXPECT_EQ(with_member(text, kPath, "1"), R"({"a":"\"linux\":{\\","b":["linux",{"linux":{"cpu":{"cpus":9}}}],"linux":{"cpu":{"cpus":1}}})");
}

TEST(WithMember, LeavesWhatIsNotClear) {
  EXPECT_EQ(with_member(R"({"linux":[]})", kPath, "1"), std::nullopt);
  EXPECT_EQ(with_member(R"({"linux":{"cpu":"x"}})", kPath, "1"), std::nullopt);
  EXPECT_EQ(with_member(R"({"linux":{},"linux":{}})", kPath, "1"), std::nullopt);
  EXPECT_EQ(with_member(R"({"l\u0069nux":{}})", kPath, "1"), std::nullopt);
  EXPECT_EQ(with_member(R"({"linux":{"cpu":{"cpus":1,"cpus":2}}})", kPath, "1"), std::nullopt);
}

TEST(JsonString, EscapesWhatJsonAsksFor) { EXPECT_EQ(json_string("a\"\\\n\x01"), R"("a\"\\\u000a\u0001")"); }

}  // namespace
}  // namespace numapin::oci
