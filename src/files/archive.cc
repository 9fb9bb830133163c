#include <bzlib.h>
#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "numapin/file_tree.h"

namespace numapin {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;
constexpr std::uint64_t kXzMemory = std::uint64_t{128} << 20;  // what `xz -9` needs to unpack is 65 MiB

enum class Step { kMore, kEnd, kCorrupt, kCut };

/// One library's stream: takes from `in`, adds to `out`.
struct Gzip {
  z_stream z{};
  Gzip() { inflateInit2(&z, 16 + MAX_WBITS); }  // 16: gzip's header
  ~Gzip() { inflateEnd(&z); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  Step step(std::string_view& in, std::string& chunk) {
    const auto take = std::min<std::size_t>(in.size(), kChunk);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = static_cast<uInt>(take);
    z.next_out = reinterpret_cast<Bytef*>(chunk.data());
    z.avail_out = static_cast<uInt>(chunk.size());
    const int rc = inflate(&z, Z_NO_FLUSH);
    in.remove_prefix(take - z.avail_in);
    chunk.resize(chunk.size() - z.avail_out);
    if (rc == Z_STREAM_END) return Step::kEnd;
    if (rc == Z_BUF_ERROR && take == 0) return Step::kCut;
    return rc == Z_OK ? Step::kMore : Step::kCorrupt;
  }
};

struct Bzip2 {
  bz_stream z{};
  Bzip2() { BZ2_bzDecompressInit(&z, 0, 0); }
  ~Bzip2() { BZ2_bzDecompressEnd(&z); }
  Bzip2(const Bzip2&) = delete;
  Bzip2& operator=(const Bzip2&) = delete;
  Step step(std::string_view& in, std::string& chunk) {
    const auto take = std::min<std::size_t>(in.size(), kChunk);
    z.next_in = const_cast<char*>(in.data());
    z.avail_in = static_cast<unsigned>(take);
    z.next_out = chunk.data();
    z.avail_out = static_cast<unsigned>(chunk.size());
    const int rc = BZ2_bzDecompress(&z);
    in.remove_prefix(take - z.avail_in);
    const bool stuck = take == 0 && z.avail_out == chunk.size();
    chunk.resize(chunk.size() - z.avail_out);
    if (rc == BZ_STREAM_END) return Step::kEnd;
    if (rc == BZ_OK && stuck) return Step::kCut;
    return rc == BZ_OK ? Step::kMore : Step::kCorrupt;
  }
};

struct Xz {
  lzma_stream z = LZMA_STREAM_INIT;
  Xz() { (void)!lzma_stream_decoder(&z, kXzMemory, 0); }
  ~Xz() { lzma_end(&z); }
  Xz(const Xz&) = delete;
  Xz& operator=(const Xz&) = delete;
  Step step(std::string_view& in, std::string& chunk) {
    z.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
    z.avail_in = in.size();
    z.next_out = reinterpret_cast<std::uint8_t*>(chunk.data());
    z.avail_out = chunk.size();
    const auto rc = lzma_code(&z, LZMA_RUN);
    const auto left = z.avail_in;
    const bool stuck = in.empty() && z.avail_out == chunk.size();
    in.remove_prefix(in.size() - left);
    chunk.resize(chunk.size() - z.avail_out);
    if (rc == LZMA_STREAM_END) return Step::kEnd;
    if (rc == LZMA_BUF_ERROR || (rc == LZMA_OK && stuck)) return Step::kCut;
    return rc == LZMA_OK ? Step::kMore : Step::kCorrupt;
  }
};

/// Decompresses one stream off the front of `in`, appending to `out`.
template <class Stream>
Result<void> unpack_stream(std::string_view& in, std::string& out, std::string_view all, const std::string& name,
                           std::size_t limit_bytes) {
  Stream stream;
  std::string chunk;
  while (true) {
    chunk.resize(kChunk);
    const auto step = stream.step(in, chunk);
    out += chunk;
    const auto at = all.size() - in.size();
    if (out.size() > limit_bytes)
      return bad_input(fmt::format("decompress {}: larger than {} MiB", name, limit_bytes >> 20));
    if (step == Step::kCut) return bad_input(fmt::format("decompress {}: the data end too early, at byte {}", name, at));
    if (step == Step::kCorrupt) return bad_input(fmt::format("decompress {}: the data are damaged near byte {}", name, at));
    if (step == Step::kEnd) return {};
  }
}

/// Streams may follow each other (`cat a.gz b.gz`); padding with zeros behind the last one is allowed, as by gzip.
template <class Stream>
Result<std::string> unpack(std::string_view bytes, std::string_view magic, const std::string& name,
                           std::size_t limit_bytes) {
  std::string out;
  auto in = bytes;
  while (in.starts_with(magic)) NUMAPIN_CHECK_OK(unpack_stream<Stream>(in, out, bytes, name, limit_bytes));
  if (in.find_first_not_of('\0') != in.npos)
    return bad_input(fmt::format("decompress {}: something else follows at byte {}", name, bytes.size() - in.size()));
  return out;
}

constexpr std::string_view kGzip = "\x1f\x8b", kBzip2 = "BZh", kXz{"\xfd" "7zXZ\0", 6}, kZstd = "\x28\xb5\x2f\xfd";

}  // namespace

Result<std::string> decompress(std::string bytes, const std::string& name, std::size_t limit_bytes) {
  if (bytes.starts_with(kGzip)) return unpack<Gzip>(bytes, kGzip, name, limit_bytes);
  if (bytes.starts_with(kBzip2)) return unpack<Bzip2>(bytes, kBzip2, name, limit_bytes);
  if (bytes.starts_with(kXz)) return unpack<Xz>(bytes, kXz, name, limit_bytes);
  if (bytes.starts_with(kZstd))
    return bad_input(fmt::format("decompress {}: zstd is not supported", name), "unpack it with `unzstd` first");
  if (bytes.size() > limit_bytes)
    return bad_input(fmt::format("open {}: larger than {} MiB", name, limit_bytes >> 20));
  return bytes;
}

}  // namespace numapin
