#include "os/node_buffer.h"

#include <gtest/gtest.h>

#include "os/kernel.h"

namespace numapin {
namespace {

TEST(HugeBytesAt, ReadsTheMappingThatHoldsTheAddress) {
  constexpr std::string_view kSmaps =
      "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \nSize:               4096 kB\nAnonHugePages:      2048 kB\n"
      "VmFlags: rd wr mr mw me ac sd \n"
      "7f0000400000-7f0000800000 rw-p 00000000 00:00 0   [anon: x-y]\nAnonHugePages:      4096 kB\n";
  EXPECT_EQ(huge_bytes_at(kSmaps, 0x7f0000000000), 2U << 20);
  EXPECT_EQ(huge_bytes_at(kSmaps, 0x7f00003fffff), 2U << 20);
  EXPECT_EQ(huge_bytes_at(kSmaps, 0x7f0000400000), 4U << 20);
  EXPECT_EQ(huge_bytes_at(kSmaps, 0x7f0000800000), 0U);
  EXPECT_EQ(huge_bytes_at("", 1), 0U);
}

TEST(NodeBuffer, IsOnItsNodeAndWritable) {
  NodeSet allowed;
  if (RealKernel().get_allowed_nodes(allowed) != 0 || allowed.empty()) GTEST_SKIP() << "no NUMA calls here";
  for (const auto pages : {NodeBuffer::Pages::kBase, NodeBuffer::Pages::kHuge}) {
    auto buffer = NodeBuffer::make(allowed.first(), 3 << 20, pages);
    if (!buffer && buffer.error().kind != Error::Kind::kSystem) GTEST_SKIP() << buffer.error().message;
    ASSERT_TRUE(buffer) << buffer.error().message;
    EXPECT_EQ(buffer->bytes(), 4U << 20);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % (2 << 20), 0U);
    buffer->data()[buffer->bytes() - 1] = 1;
    EXPECT_TRUE(buffer->verify());
    EXPECT_GE(buffer->page_bytes(), 4096U);
  }
}

TEST(NodeBuffer, SaysWhyThereIsNone) {
  const auto buffer = NodeBuffer::make(NodeId{999}, 1 << 20, NodeBuffer::Pages::kBase);
  ASSERT_FALSE(buffer);
  EXPECT_TRUE(buffer.error().message.starts_with("bind memory to node 999: ")) << buffer.error().message;
}

}  // namespace
}  // namespace numapin
