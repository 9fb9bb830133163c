#include "render/xml_text.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

TEST(XmlText, EscapesMarkup) { EXPECT_EQ(xml_text("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;"); }

TEST(XmlText, KeepsUtf8) { EXPECT_EQ(xml_text("Ünïcode 中文 🎉"), "Ünïcode 中文 🎉"); }

TEST(XmlText, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(xml_text("a\xff" "b"), "a\xef\xbf\xbd" "b");
  EXPECT_EQ(xml_text("\xc3"), "\xef\xbf\xbd");                                          // cut
  EXPECT_EQ(xml_text("\xc0\xbc"), "\xef\xbf\xbd\xef\xbf\xbd");                          // '<' overlong
  EXPECT_EQ(xml_text("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");          // a surrogate
  EXPECT_EQ(xml_text("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // above U+10FFFF
}

TEST(XmlText, ReplacesWhatXmlForbids) {
  EXPECT_EQ(xml_text(std::string_view("a\0\x1b[31m\x7f", 8)), "a??[31m?");
  EXPECT_EQ(xml_text("\xc2\x9b\xef\xbf\xbe"), "??");
  EXPECT_EQ(xml_text("a\tb\n"), "a\tb\n");
}

}  // namespace
}  // namespace numapin
