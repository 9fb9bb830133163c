#include "os/line_splitter.h"

#include <gmock/gmock.h>

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Lines {
  explicit Lines(std::size_t max_line = LineSplitter::kMaxLine) : splitter(max_line) {}
  void feed(std::string_view bytes) { splitter.feed(bytes, take); }
  std::vector<std::string> found;
  std::function<void(std::string_view)> take = [this](std::string_view line) { found.emplace_back(line); };
  LineSplitter splitter;
};

TEST(LineSplitter, EndsLinesAtNewlinesAndReturns) {
  Lines lines;
  lines.feed("one\ntwo\r\n10%\r20%\r\n\nlast");
  EXPECT_THAT(lines.found, ElementsAre("one", "two", "10%", "20%", ""));
  lines.splitter.finish(lines.take);
  EXPECT_EQ(lines.found.back(), "last");
}

TEST(LineSplitter, PartsMayEndAnywhere) {
  for (const std::string text = "one\r\ntwo\n\nthree\r\n"; const std::size_t cut : {1, 4, 5, 8, 9, 10}) {
    Lines lines;
    lines.feed(std::string_view(text).substr(0, cut));
    lines.feed(std::string_view(text).substr(cut));
    EXPECT_THAT(lines.found, ElementsAre("one", "two", "", "three")) << cut;
  }
}

TEST(LineSplitter, CutsWhatIsTooLongAndAddsNoEmptyLine) {
  Lines lines(4);
  lines.feed("abcdefgh\nij\n\nklmn");
  EXPECT_THAT(lines.found, ElementsAre("abcd", "efgh", "ij", "", "klmn"));
  lines.feed("\r\n");
  EXPECT_EQ(lines.found.size(), 5U);
  lines.splitter.finish(lines.take);
  EXPECT_EQ(lines.found.size(), 5U);
}

}  // namespace
}  // namespace numapin
