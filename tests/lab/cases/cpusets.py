"""What a cgroup or an affinity mask allows is kept, and what it costs is said."""
import os

from lab import case, id_list, read, write

NO_NEAR_CPU = r"(?i)no allowed CPU|none of .*CPUs.* allowed|not allowed"


def two_gpu_nodes(m):
    return {g.node for g in m.gpus} >= {0, 1}


@case("a cpuset with some of the GPU's CPUs", on=two_gpu_nodes)
def part_of_the_node(lab):
    m = lab.machine
    gpu = next(g for g in m.gpus if g.node == 1)
    cpus = sorted(m.nodes[1])[:2] + sorted(m.nodes[0])[:2]
    with lab.cgroup(cpuset_cpus=id_list(cpus), cpuset_mems="0-1") as path:
        lab.binds(f"--gpu {gpu.index}", within=f"--cgroup {path}", cpus=id_list(cpus[:2]), policy="prefer (many):1", on="1")
        lab.binds(f"--gpu {gpu.index} --cpus all", within=f"--cgroup {path}", cpus=id_list(cpus))


@case("a cpuset with no CPU near the GPU", on=two_gpu_nodes)
def none_near(lab):
    m = lab.machine
    gpu = next(g for g in m.gpus if g.node == 1)
    allowed = id_list(sorted(m.nodes[0])[:3])
    with lab.cgroup(cpuset_cpus=allowed, cpuset_mems="0-1") as path:
        lab.binds(f"--gpu {gpu.index}", within=f"--cgroup {path}", cpus=allowed, policy="prefer (many):1", on="1", says=NO_NEAR_CPU)
        lab.binds(f"--gpu {gpu.index} --strict", within=f"--cgroup {path}", status=1)


@case("a cpuset without the GPU's memory", on=two_gpu_nodes)
def memory_elsewhere(lab):
    m = lab.machine
    gpu = next(g for g in m.gpus if g.node == 1)
    with lab.cgroup(cpuset_cpus=id_list(m.online), cpuset_mems="0") as path:
        within = f"--cgroup {path}"
        lab.binds(f"--gpu {gpu.index}", within=within, cpus=id_list(m.nodes[1]), mems="0", on="0", says=r"(?i)node 1|memory")
        lab.binds(f"--gpu {gpu.index} --memory bind", within=within, cpus=id_list(m.nodes[1]), on="0", says=r"(?i)node 1|memory")
        lab.binds(f"--gpu {gpu.index} --memory bind --strict", within=within, status=1)


@case("an affinity mask is a limit as well", on=two_gpu_nodes)
def affinity(lab):
    m = lab.machine
    gpu = next(g for g in m.gpus if g.node == 1)
    near, far = id_list(sorted(m.nodes[1])[:1]), id_list(sorted(m.nodes[0])[:2])
    lab.binds(f"--gpu {gpu.index}", within=f"--cpus {near},{far}", cpus=near, on="1")
    lab.binds(f"--gpu {gpu.index}", within=f"--cpus {far}", cpus=far, on="1", says=NO_NEAR_CPU)


@case("cpusets of cgroup v1", on="small")
def version_1(lab):
    if lab.kernel != "6.1":
        lab.skip("this kernel has no cpusets of version 1")
    os.makedirs("/run/v1", exist_ok=True)
    for path, *_ in os.walk("/sys/fs/cgroup", topdown=False):  # version 1 gets what version 2 does not use
        if "cpuset" in read(f"{path}/cgroup.subtree_control"):
            write(f"{path}/cgroup.subtree_control", "-cpuset")
    lab.tool("mount -t cgroup -o cpuset cpuset /run/v1")
    os.mkdir("/run/v1/case")
    try:
        for name, value in ("cpuset.cpus", "2,4"), ("cpuset.mems", "0-1"):
            write("/run/v1/case/" + name, value)
        lab.binds("--gpu 1", within="--cgroup /run/v1/case", cpus="2", on="1")
        lab.binds("--gpu 0", within="--cgroup /run/v1/case", cpus="4", on="0")
    finally:
        os.rmdir("/run/v1/case")
        lab.tool("umount /run/v1")
