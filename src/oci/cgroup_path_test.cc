#include "oci/cgroup_path.h"

#include <gtest/gtest.h>

namespace numapin::oci {
namespace {

TEST(ParentCgroup, OfEveryManager) {
  EXPECT_EQ(parent_cgroup("/docker/0123", "/own"), "/docker");
  EXPECT_EQ(parent_cgroup("/kubepods/burstable/pod12/34", ""), "/kubepods/burstable/pod12");
  EXPECT_EQ(parent_cgroup("/libpod_parent/libpod-12", "/own"), "/libpod_parent");
  EXPECT_EQ(parent_cgroup("/top", "/own"), "/");
  EXPECT_EQ(parent_cgroup("/", "/own"), "/");
  EXPECT_EQ(parent_cgroup("kubepods-besteffort-pod1_2.slice:cri-containerd:34", "/own"),
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice");
  EXPECT_EQ(parent_cgroup("machine.slice:libpod:34", "/own"), "/machine.slice");
  EXPECT_EQ(parent_cgroup(":docker:34", "/own"), "/system.slice");
  EXPECT_EQ(parent_cgroup("-.slice:docker:34", "/own"), "/");
  EXPECT_EQ(parent_cgroup("", "/own/here"), "/own/here");
  EXPECT_EQ(parent_cgroup("job/container", "/own"), "/own/job");
  EXPECT_EQ(parent_cgroup("container", "/"), "/");
  EXPECT_EQ(parent_cgroup("", ""), "/");
}

}  // namespace
}  // namespace numapin::oci
