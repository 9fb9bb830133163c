#include <bzlib.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>

#include <random>

#include "numapin/file_tree.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Error::Kind;

// ---- archives made by hand ---------------------------------------------------------------------------------------
void put(std::string& block, std::size_t at, std::string_view text) { text.copy(block.data() + at, text.size()); }

std::string with_checksum(std::string block) {
  put(block, 148, "        ");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

std::string header(std::string_view name, char type, std::size_t size, std::string_view link = "") {
  std::string block(512, '\0');
  put(block, 0, name);
  put(block, 100, "0000644");
  put(block, 124, fmt::format("{:011o}", size));
  block[156] = type;
  put(block, 157, link);
  put(block, 257, std::string_view("ustar\00000", 8));
  return with_checksum(block);
}

std::string padded(std::string_view data) {
  return std::string(data) + std::string((512 - data.size() % 512) % 512, '\0');
}

std::string file(std::string_view name, std::string_view data, char type = '0') {
  return header(name, type, data.size()) + padded(data);
}

std::string pax_record(std::string_view key, std::string_view value) {
  const auto body = fmt::format(" {}={}\n", key, value);
  auto size = body.size() + 1;
  while (fmt::format("{}{}", size, body).size() != size) ++size;
  return fmt::format("{}{}", size, body);
}

std::string end() { return std::string(1024, '\0'); }

std::string gzip(std::string_view data) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, data.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string bzip2(std::string data) {
  auto size = static_cast<unsigned>(data.size() + data.size() / 100 + 600);
  std::string out(size, '\0');
  BZ2_bzBuffToBuffCompress(out.data(), &size, data.data(), static_cast<unsigned>(data.size()), 9, 0, 0);
  out.resize(size);
  return out;
}

std::string xz(std::string_view data) {
  std::string out(lzma_stream_buffer_bound(data.size()), '\0');
  std::size_t at = 0;
  (void)!lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(data.data()),
                                 data.size(), reinterpret_cast<std::uint8_t*>(out.data()), &at, out.size());
  out.resize(at);
  return out;
}

std::string small_archive() {
  return header("top/", '5', 0) + file("top/sys/cpu/online", "0-3\n") + header("top/sys/link", '2', 0, "cpu/online") +
         file("README", "not part of the machine") + end();
}

std::string message(const Result<std::unique_ptr<FileTree>>& t) { return t ? "no error" : t.error().message; }

// ---- reading -----------------------------------------------------------------------------------------------------
TEST(TarTree, ShowsTheDirectoryThatHoldsSysAsRoot) {
  const auto t = make_tar_tree(small_archive(), "a.tar");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/sys/cpu/online"), "0-3\n");
  EXPECT_EQ((*t)->read("/sys/link"), "0-3\n");
  EXPECT_THAT(*(*t)->list("/"), ElementsAre("sys"));
}

TEST(TarTree, UnpacksGzipBzip2AndXz) {
  for (const auto& bytes : {gzip(small_archive()), bzip2(small_archive()), xz(small_archive())}) {
    const auto t = make_tar_tree(bytes, "a");
    ASSERT_TRUE(t) << message(t);
    EXPECT_EQ((*t)->read("/sys/cpu/online"), "0-3\n");
  }
}

TEST(TarTree, PrefersTheShallowestRoot) {
  const auto t = make_tar_tree(file("./m/cpuid/pu0", "") + file("./m/fsroot/proc/sys/kernel/x", "1") + end(), "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/proc/sys/kernel/x"), "1") << "/proc/sys is no root";
}

TEST(TarTree, PrefersSysToProcAndRefusesSeveralMachines) {
  const auto one = make_tar_tree(file("a/proc/x", "1") + file("b/sys/x", "2") + end(), "a");
  ASSERT_TRUE(one) << message(one);
  EXPECT_EQ((*one)->read("/sys/x"), "2");
  const auto two = make_tar_tree(file("a/sys/x", "1") + file("b/sys/x", "2") + end(), "t.tar");
  EXPECT_EQ(message(two), "open t.tar: several directories hold a machine: /a, /b");
}

TEST(TarTree, KeepsAnArchiveWithoutSysAndProcAsItIs) {
  const auto t = make_tar_tree(file("topology/nodes/0/properties", "cpu_cores_count 8\n") + file("sys", "a file") + end(), "k");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/topology/nodes/0/properties"), "cpu_cores_count 8\n");
}

TEST(TarTree, ReadsLongNamesOfGnuPaxAndUstar) {
  const std::string dir = "m/sys/" + std::string(120, 'd') + "/";
  const std::string gnu = dir + "gnu", pax = dir + "pax", target = std::string(150, 't');
  auto ustar = header("name", '0', 3);
  put(ustar, 345, "m/sys/prefix");
  const auto t = make_tar_tree(file("././@LongLink", gnu + '\0', 'L') + file("short", "1") +
                                   file("x", pax_record("mtime", "1.5") + pax_record("path", pax), 'x') + file("short", "2") +
                                   file("././@LongLink", target + '\0', 'K') + header("m/sys/l1", '2', 0, "cut") +
                                   file("x", pax_record("linkpath", target), 'x') + header("m/sys/l2", '2', 0, "cut") +
                                   with_checksum(ustar) + padded("abc") +
                                   file("x", pax_record("path", "m/sys/" + target), 'x') + file("short", "3") + end(),
                               "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read(gnu.substr(1)), "1");
  EXPECT_EQ((*t)->read(pax.substr(1)), "2");
  EXPECT_EQ((*t)->read("/sys/l1"), "3");
  EXPECT_EQ((*t)->read("/sys/l2"), "3");
  EXPECT_EQ((*t)->read("/sys/prefix/name"), "abc");
}

TEST(TarTree, ReadsSizesOfEveryForm) {
  auto base256 = header("sys/b", '0', 0);
  put(base256, 124, std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\x05", 12));
  auto blanks = header("sys/c", '0', 0);
  put(blanks, 124, std::string_view("         5 \0", 12));
  const auto t = make_tar_tree(file("x", pax_record("size", "5"), 'x') + header("sys/a", '0', 0) + padded("12345") +
                                   with_checksum(base256) + padded("12345") + with_checksum(blanks) + padded("12345") + end(),
                               "a");
  ASSERT_TRUE(t) << message(t);
  for (const auto* path : {"/sys/a", "/sys/b", "/sys/c"}) EXPECT_EQ((*t)->read(path), "12345") << path;
}

TEST(TarTree, FollowsHardLinks) {
  const auto t = make_tar_tree(file("m/sys/a", "1") + header("m/sys/b", '1', 0, "m/sys/a") + header("m/sys/c", '1', 0, "m/sys/b") +
                                   end(), "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/sys/b"), "1");
  EXPECT_EQ((*t)->read("/sys/c"), "1");
  EXPECT_EQ(message(make_tar_tree(header("sys/b", '1', 0, "sys/a") + end(), "t")),
            "open t: /sys/b is a hard link to /sys/a, which is not before it in the archive");
}

// GNU tar: "File shrank by 4092 bytes; padding with zeros".
TEST(TarTree, DropsThePaddingOfFilesShorterThanSysfsClaims) {
  const auto t = make_tar_tree(file("sys/online", "0-3\n" + std::string(4092, '\0')) + file("sys/binary", std::string("a\0b\0", 4)) + end(), "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/sys/online"), "0-3\n");
  EXPECT_EQ((*t)->read("/sys/binary"), std::string("a\0b\0", 4));
}

TEST(TarTree, NeverLeavesItsRoot) {
  const auto t = make_tar_tree(file("../../sys/a", "1") + file("/sys/b", "2") + header("sys/up", '2', 0, "../../../../sys/b") +
                                   header("sys/dir", '2', 0, "/") + file("sys/dir/x", "3") + end(), "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_EQ((*t)->read("/sys/a"), "1");
  EXPECT_EQ((*t)->read("/sys/up"), "2");
  EXPECT_EQ((*t)->read("/sys/dir/x"), "3");
  EXPECT_FALSE((*t)->read("/etc/passwd"));
}

TEST(TarTree, SkipsDevicesAndFifos) {
  const auto t = make_tar_tree(file("sys/a", "1") + header("dev/tty", '3', 0) + header("dev/sda", '4', 0) + header("f", '6', 0) + end(), "a");
  ASSERT_TRUE(t) << message(t);
  EXPECT_FALSE((*t)->read("/dev/tty"));
}

// ---- damage ------------------------------------------------------------------------------------------------------
TEST(TarTree, SaysWhereTheDamageIs) {
  auto wrong = small_archive();
  wrong[512 + 3] = 'X';
  EXPECT_EQ(message(make_tar_tree(wrong, "t")), "open t: byte 512: wrong checksum of a tar header");
  EXPECT_EQ(message(make_tar_tree(small_archive().substr(0, 1024), "t")),
            "open t: byte 512: the archive is cut off inside an entry of 4 bytes");
  EXPECT_EQ(message(make_tar_tree(small_archive().substr(0, 1536), "t")),
            "open t: byte 1536: the archive is cut off before its end mark");
  EXPECT_EQ(message(make_tar_tree(file("sys/a", "1", 'S') + end(), "t")),
            "open t: byte 0: a sparse file, which is not supported");
  EXPECT_THAT(message(make_tar_tree(file("x", pax_record("GNU.sparse.major", "1"), 'x') + file("sys/a", "1") + end(), "t")),
              HasSubstr("sparse"));
  EXPECT_EQ(message(make_tar_tree(file("x", "99 path=a\n", 'x') + end(), "t")), "open t: byte 0: a pax record is malformed");
  EXPECT_EQ(message(make_tar_tree(file("x", pax_record("path", std::string(5000, 'p')), 'x') + file("a", "") + end(), "t")),
            "open t: byte 5632: a path is too long");
  EXPECT_THAT(message(make_tar_tree("hello", "t")), HasSubstr("cut off"));
}

TEST(TarTree, SurvivesAnyDamage) {
  std::mt19937 random(7);
  const auto whole = file("x", pax_record("path", "m/sys/pax"), 'x') + small_archive();
  for (int round = 0; round < 3000; ++round) {
    auto bytes = whole;
    const std::size_t block = random() % (bytes.size() / 512) * 512;
    for (int i = 0; i < 3; ++i) bytes[block + random() % 512] = static_cast<char>(random());
    if (round % 2 == 0) bytes = bytes.substr(0, block) + with_checksum(bytes.substr(block, 512)) + bytes.substr(block + 512);
    if (round % 5 == 0) bytes.resize(random() % bytes.size());
    const auto t = make_tar_tree(bytes, "t");
    EXPECT_TRUE(t || t.error().kind == Kind::kBadInput);
  }
}

TEST(Decompress, PassesOnWhatIsNotCompressed) {
  EXPECT_EQ(decompress("plain text", "x", 100), "plain text");
  EXPECT_EQ(decompress("", "x", 100), "");
  EXPECT_FALSE(decompress("plain text", "x", 5));
}

TEST(Decompress, JoinsStreamsAndAllowsZerosBehind) {
  for (const auto& pack : {+[](std::string s) { return gzip(s); }, +[](std::string s) { return bzip2(s); }, +[](std::string s) { return xz(s); }}) {
    EXPECT_EQ(decompress(pack("one ") + pack("two") + std::string(8, '\0'), "x", 100), "one two");
    EXPECT_FALSE(decompress(pack("one ") + "junk", "x", 100));
  }
}

TEST(Decompress, StopsABomb) {
  const std::string zeros(std::size_t{4} << 20, '\0');
  for (const auto& bomb : {gzip(zeros), bzip2(zeros), xz(zeros)}) {
    const auto r = decompress(bomb, "bomb", std::size_t{1} << 20);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message, "decompress bomb: larger than 1 MiB");
    EXPECT_EQ(decompress(bomb, "bomb", zeros.size()), zeros);
  }
}

TEST(Decompress, SurvivesCutsAndDamage) {
  std::mt19937 random(3);
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>('a' + random() % 20);
  for (const auto& whole : {gzip(text), bzip2(text), xz(text)}) {
    for (std::size_t cut = 8; cut < whole.size(); cut += 97) {
      const auto r = decompress(whole.substr(0, cut), "x", 1 << 20);
      ASSERT_FALSE(r) << cut;
      EXPECT_EQ(r.error().kind, Kind::kBadInput);
    }
    for (int round = 0; round < 300; ++round) {
      auto bytes = whole;
      bytes[6 + random() % (bytes.size() - 6)] ^= static_cast<char>(1 + random() % 255);
      const auto r = decompress(bytes, "x", 1 << 20);
      EXPECT_TRUE(r || r.error().kind == Kind::kBadInput);
    }
  }
}

TEST(Decompress, NamesZstd) {
  EXPECT_EQ(decompress("\x28\xb5\x2f\xfd....", "m.tar.zst", 100).error().message, "decompress m.tar.zst: zstd is not supported");
}

}  // namespace
}  // namespace numapin
