#include "sources/anonymize.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

std::string in_file(std::string_view text) { return Anonymizer("tuna").content("/proc/x", text); }

TEST(Anonymizer, ReplacesUuidsByNumbersOfTheSameForm) {
  Anonymizer a("");
  EXPECT_EQ(a.content("/p", "GPU UUID: \t GPU-8932f937-d72c-4106-c12f-20bd9faed9f6\n"),
            "GPU UUID: \t GPU-00000001-0000-0000-0000-000000000000\n");
  EXPECT_EQ(a.content("/p", "MIG-GPU-aaaaaaaa-d72c-4106-c12f-20bd9faed9f6/1/0"), "MIG-GPU-00000002-0000-0000-0000-000000000000/1/0");
  EXPECT_EQ(a.path("/sys/fs/cgroup/kubepods-pod8932F937_d72c_4106_c12f_20bd9faed9f6.slice"),
            "/sys/fs/cgroup/kubepods-pod00000001_0000_0000_0000_000000000000.slice") << "the same one by the same number";
  EXPECT_EQ(a.summary(), "replaced: 2 UUIDs");
}

TEST(Anonymizer, ReplacesIdsAddressesAndSerialNumbers) {
  EXPECT_EQ(in_file("0::/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
            "0::/docker/0000000000000000000000000000000000000000000000000000000000000001");
  EXPECT_EQ(in_file("0c:42:a1:3b:5e:7f"), "00:00:00:00:00:01");
  EXPECT_EQ(in_file("b83f:d203:00a1:2c3e"), "0000:0000:0000:0001");
  EXPECT_EQ(in_file("10.1.2.3:/home /home nfs addr=10.1.2.3,x"), "192.0.2.1:/home /home nfs addr=192.0.2.1,x");
  EXPECT_EQ(in_file("Serial\t\t: 00000000abcd1234\nRevision\t: 0010\n"), "Serial\t\t: 1\nRevision\t: 0010\n");
  EXPECT_EQ(in_file("unique_id 12345678901234567890\nsimd_count 304\n"), "unique_id 1\nsimd_count 304\n");
  EXPECT_EQ(Anonymizer("").content("/sys/class/dmi/id/product_serial", "ABC123\n"), "1\n");
}

TEST(Anonymizer, KeepsWhatOnlyLooksLikeAnId) {
  const std::string unopened = "GPU-" + std::string(8, '?') + "-" + std::string(4, '?');  // what an unopened GPU has
  for (const auto& text : std::initializer_list<std::string>{"0000:18:00.0", "00000000,ffffffff,00000000,ffffffff", "ffffffffffffffffffffffffffffffff", "0-63,128-191",
                           "NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19", "6.1.0-13-amd64", "5.4.0.0-generic", "127.0.0.1",
                           "pci:v000010DEd00002330sv000010DEsd000016C1bc03sc02i00", unopened,
                           "00000000-0000-0000-0000-000000000000", "unique_id 0", "PCI_SLOT_NAME=0000:00:01.0", "12:34:56", "1.2.3.4.5"})
    EXPECT_EQ(in_file(text), text);
}

TEST(Anonymizer, ReplacesTheHostNameWhereItMayStand) {
  const auto in = [](std::string_view path, std::string_view text) { return Anonymizer("gpu").content(path, text); };
  EXPECT_EQ(in("/proc/sys/kernel/hostname", "gpu\n"), "host\n");
  EXPECT_EQ(in("/proc/self/cgroup", "0::/slurm/gpu.example.com/gpus"), "0::/slurm/host.example.com/gpus");
  EXPECT_EQ(in("/numapin/nvml", "gpu 0 address=0000:00:06.0\n"), "gpu 0 address=0000:00:06.0\n") << "hosts are called so";
  EXPECT_EQ(Anonymizer("lab").content("/proc/cpuinfo", "model name : Xeon lab\n"), "model name : Xeon lab\n");
  EXPECT_EQ(Anonymizer("").content("/proc/self/cgroup", "text"), "text");
}

TEST(Anonymizer, DoneTwiceIsDoneOnce) {
  const std::string text = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6 0c:42:a1:3b:5e:7f tuna b83f:d203:00a1:2c3e";
  const auto once = in_file(text);
  EXPECT_EQ(in_file(once), once);
}

}  // namespace
}  // namespace numapin
