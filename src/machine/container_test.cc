#include "numapin/container.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

const std::string kId(64, 'a'), kOther(64, 'b');
constexpr const char* kUid = "4f0d3a3c-1a2b-4c5d-8e9f-0123456789ab";
constexpr const char* kUnderscores = "4f0d3a3c_1a2b_4c5d_8e9f_0123456789ab";

struct Shape {
  std::string path, engine, id, pod;
};

TEST(FindContainer, KnowsEveryEnginesPaths) {
  const std::vector<Shape> shapes = {
      {"/docker/" + kId, "docker", kId, ""},
      {"/system.slice/docker-" + kId + ".scope", "docker", kId, ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + kId + ".scope", "docker", kId, ""},
      {"/docker/" + kOther + "/docker/" + kId, "docker", kId, ""},
      {"/my.parent/" + kId, "", kId, ""},
      {"/libpod_parent/libpod-" + kId, "podman", kId, ""},
      {"/machine.slice/libpod-" + kId + ".scope", "podman", kId, ""},
      {"/machine.slice/libpod-" + kId + ".scope/container", "podman", kId, ""},
      {"/machine.slice/machine-libpod_pod_" + kOther + ".slice/libpod-" + kId + ".scope", "podman", kId, ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope/container", "podman", kId, ""},
      {"/system.slice/nerdctl-" + kId + ".scope", "containerd", kId, ""},
      {"/default/" + kId, "", kId, ""},
      {"/k8s.io/" + kId, "containerd", kId, ""},
      {fmt::format("/kubepods/burstable/pod{}/{}", kUid, kId), "", kId, kUid},
      {fmt::format("/kubepods/pod{}/{}", kUid, kId), "", kId, kUid},
      {fmt::format("/kubepods/besteffort/pod{}/crio-{}", kUid, kId), "CRI-O", kId, kUid},
      {fmt::format("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{}.scope", kUnderscores, kId), "containerd", kId, kUid},
      {fmt::format("/kubepods.slice/kubepods-pod{}.slice/crio-{}.scope", kUnderscores, kId), "CRI-O", kId, kUid},
      {fmt::format("/kubepods.slice/kubepods-pod{}.slice/crio-{}.scope/container", kUnderscores, kId), "CRI-O", kId, kUid},
      {fmt::format("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/docker-{}.scope", kUnderscores, kId), "docker", kId, kUid},
      {fmt::format("/system.slice/containerd.service/kubepods-burstable-pod{}.slice:cri-containerd:{}", kUnderscores, kId), "containerd", kId, kUid},
      {fmt::format("/docker/{}/kubelet/kubepods/besteffort/pod{}/{}", kOther, kUid, kId), "", kId, kUid},
      {fmt::format("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{}.slice/cri-containerd-{}.scope", kUnderscores, kId), "containerd", kId, kUid},
      {"/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/" + kId, "", kId, "0123456789abcdef0123456789abcdef"},
      {fmt::format("/kubepods.slice/kubepods-pod{}.slice", kUnderscores), "", "", kUid},
      {"/lxc.payload.web/system.slice/ssh.service", "LXC", "web", ""},
      {"/lxc/web/init.scope", "LXC", "web", ""},
      {"/machine.slice/systemd-nspawn@deb.service/payload", "systemd-nspawn", "deb", ""},
  };
  for (const auto& s : shapes) {
    for (const auto& text : {"0::" + s.path + "\n", "12:cpu,cpuacct:/\n3:cpuset:" + s.path + "\n0::/\n", s.path}) {
      const auto c = find_container(text);
      ASSERT_TRUE(c) << text;
      EXPECT_EQ(c->engine, s.engine) << text;
      EXPECT_EQ(c->id, s.id) << text;
      EXPECT_EQ(c->pod_uid, s.pod) << text;
      EXPECT_EQ(c->kubernetes, s.path.find("kubepods") != s.path.npos) << text;
    }
  }
}

TEST(FindContainer, FindsNoneWhereNoneIs) {
  for (const std::string& path : {std::string("/"), std::string("/user.slice/user-1000.slice/session-3.scope"), std::string("/system.slice/docker.service"),
                                  "/machine.slice/libpod-conmon-" + kId + ".scope", "/system.slice/crio-conmon-" + kId + ".scope", std::string("/docker/buildkit"),
                                  std::string("/slurm/uid_0/job_7/step_0"), std::string("/../.."), std::string("/docker-1234.scope"), std::string("")}) {
    EXPECT_EQ(find_container("0::" + path + "\n"), std::nullopt) << path;
  }
  EXPECT_EQ(find_container("nonsense"), std::nullopt);
}

TEST(FindContainer, NamesOfKubernetesFromTheKubeletsLogs) {
  auto c = *find_container(fmt::format("/kubepods/pod{}/{}", kUid, kId));
  add_kubernetes_names("other_default_main-" + kOther + ".log", c);
  EXPECT_EQ(describe(c), fmt::format("pod {}, container aaaaaaaaaaaa", kUid));
  add_kubernetes_names("train-0_ml-team_main-" + kId + ".log", c);
  EXPECT_EQ(describe(c), "pod ml-team/train-0, container main (aaaaaaaaaaaa)");
}

TEST(FindContainer, Words) {
  EXPECT_EQ(describe(*find_container("/docker/" + kId)), "docker container aaaaaaaaaaaa");
  EXPECT_EQ(describe(*find_container("/default/" + kId)), "container aaaaaaaaaaaa");
  EXPECT_EQ(describe(ContainerName{}), "a container");
}

TEST(FindSlurmStep, OfBothVersions) {
  EXPECT_EQ(find_slurm_step("3:cpuset:/slurm_n1/uid_1000/job_12/step_batch/task_0\n"), (SlurmStep{"12", "batch", "0"}));
  EXPECT_EQ(find_slurm_step("0::/system.slice/slurmstepd.scope/job_12/step_0/user/task_3\n"), (SlurmStep{"12", "0", "3"}));
  EXPECT_EQ(find_slurm_step("0::/system.slice/slurmd.service\n"), std::nullopt);
  EXPECT_EQ(find_slurm_step("0::/backup/job_12\n"), std::nullopt);
}

TEST(OuterCommand, IsWhatTheEngineTakes) {
  const CpuSet cpus{0, 1, 2};
  EXPECT_EQ(outer_command(*find_container("/docker/" + kId), cpus, NodeSet{0}), "docker run --cpuset-cpus=0-2 --cpuset-mems=0");
  EXPECT_EQ(outer_command(*find_container("/libpod_parent/libpod-" + kId), cpus, {}), "podman run --cpuset-cpus=0-2");
  EXPECT_EQ(outer_command(*find_container("/lxc/web"), {}, NodeSet{1}), "in the container's configuration: lxc.cgroup2.cpuset.mems = 1");
  EXPECT_NE(outer_command(*find_container(fmt::format("/kubepods/pod{}/{}", kUid, kId)), cpus, {}).find("single-numa-node"), std::string::npos);
  EXPECT_EQ(outer_permission(*find_container("/docker/" + kId)), "docker run --cap-add SYS_NICE");
}

}  // namespace
}  // namespace numapin
