#include "options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace numapin_spank {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Options words(std::string_view list) {
  Options o;
  EXPECT_EQ(apply_words(list, o), "") << list;
  return o;
}

TEST(SpankWords, EachDoesOneThing) {
  EXPECT_EQ(words("auto"), Options{});
  EXPECT_FALSE(words("off").on);
  EXPECT_EQ(words("l3").cpus, "l3");
  EXPECT_EQ(words("exclusive,smt-off").cpus, "exclusive");
  EXPECT_FALSE(words("exclusive,smt-off").smt);
  EXPECT_EQ(words("memory=weighted-interleave").memory, "weighted-interleave");
  EXPECT_TRUE(words("dry-run").verbose) << "whoever asks for a dry run wants to see it";
  EXPECT_TRUE(words("strict").strict);
}

TEST(SpankWords, TheLaterWins) {
  EXPECT_TRUE(words("off,node").on);
  EXPECT_FALSE(words("node,off").on);
  EXPECT_EQ(words("l3,memory=bind,verbose,auto"), words("verbose"));
}

TEST(SpankWords, TheWrongOneIsNamedAndTheOthersCount) {
  Options o;
  EXPECT_EQ(apply_words("l3,memory=fast,verbose", o), "memory=fast");
  EXPECT_EQ(o, words("l3,verbose"));
  for (const char* wrong : {"", ",", "Node", "node ", "memory", "memory=", "l3,,verbose"}) EXPECT_NE(apply_words(wrong, o), "") << wrong;
}

TEST(SpankSite, ReadsItsLine) {
  const auto site = read_site({"l3", "memory=bind", "forbid", "library=/opt/libnumapin.so.0", "machine=/etc/n.snap", "defualt=off"});
  EXPECT_EQ(site.defaults, words("l3,memory=bind"));
  EXPECT_TRUE(site.forbids);
  EXPECT_EQ(site.library, "/opt/libnumapin.so.0");
  EXPECT_EQ(site.machine, "/etc/n.snap");
  EXPECT_THAT(site.mistakes, ElementsAre("defualt=off"));
  EXPECT_EQ(read_site({}).library, "libnumapin.so.0");
}

TEST(SpankEffective, UsersWordsStandOnTheSites) {
  const auto site = read_site({"l3", "smt-off"});
  EXPECT_EQ(effective(site, std::nullopt).options, words("l3,smt-off"));
  EXPECT_EQ(effective(site, "memory=bind").options, words("l3,smt-off,memory=bind"));
  EXPECT_EQ(effective(site, "auto").options, Options{});
  EXPECT_FALSE(effective(site, "off").options.on);
  EXPECT_THAT(effective(site, "nod").ignored, HasSubstr("nod"));
}

TEST(SpankEffective, AForbiddingSiteLetsUsersListenOnly) {
  const auto site = read_site({"l3", "forbid"});
  EXPECT_EQ(effective(site, "off,verbose").options, words("l3,verbose"));
  EXPECT_THAT(effective(site, "off").ignored, HasSubstr("forbid"));
  EXPECT_EQ(effective(site, "verbose").ignored, "");
  EXPECT_FALSE(effective(site, "dry-run").options.dry_run) << "not binding is a choice too";
}

TEST(SpankMasks, OwnWhereNoTwoShareACpu) {
  EXPECT_TRUE(has_own_masks("quiet,mask_cpu:0x3,0xC", 2));
  EXPECT_TRUE(has_own_masks("quiet,mask_cpu:0x00000000000000000000000000000001,0x10000000000000000000000000000000", 2));
  EXPECT_FALSE(has_own_masks("quiet,mask_cpu:0x3,0x6", 2));
  EXPECT_FALSE(has_own_masks("quiet,mask_cpu:0x3", 2)) << "the second task's is not told";
  for (const char* other : {"", "none", "quiet,none", "mask_cpu:", "mask_cpu:0x", "mask_cpu:0xZ", "mask_cpu:1,,2"})
    EXPECT_FALSE(has_own_masks(other, 1)) << other;
}

TEST(SpankInput, NothingCrashesIt) {  // it runs where slurmstepd does
  std::mt19937 random(42);
  const std::string_view pieces[] = {"auto", "off", "memory=", "bind", ",", "=", "mask_cpu:", "0x", "f", "library=", "\xff\xfe", "forbid", "%s%n", " "};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += pieces[random() % std::size(pieces)];
    if (i % 100 == 0) text += std::string(random() % 100000, 'x');
    const auto site = read_site({text, text});
    (void)effective(site, text);
    (void)has_own_masks(text, random() % 8);
  }
}

}  // namespace
}  // namespace numapin_spank
