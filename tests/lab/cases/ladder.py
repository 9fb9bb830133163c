"""Where the kernel or a container refuses, the next best is done and said; --strict stops instead."""
from lab import case, id_list

REFUSED = r"Operation not permitted"


def two_gpu_nodes(m):
    return {g.node for g in m.gpus} >= {0, 1}


def last_gpu(m):
    gpu = m.gpus[-1]
    return gpu, id_list(m.nodes[gpu.node])


@case("seccomp refuses every memory policy call", on=two_gpu_nodes)
def no_memory_calls(lab):
    gpu, cpus = last_gpu(lab.machine)
    within = "--refuse set_mempolicy,get_mempolicy,mbind"
    for memory in "preferred", "bind", "interleave":
        lab.binds(f"--gpu {gpu.index} --memory {memory}", within=within, cpus=cpus, policy="default", says=REFUSED)
    lab.binds(f"--gpu {gpu.index} --strict", within=within, status=1, says=REFUSED)


@case("seccomp allows get_mempolicy and refuses set_mempolicy", on=two_gpu_nodes)
def get_but_not_set(lab):
    gpu, cpus = last_gpu(lab.machine)
    within = "--refuse set_mempolicy,mbind"
    lab.binds(f"--gpu {gpu.index}", within=within, cpus=cpus, policy="default", on=str(gpu.node), says=REFUSED)
    lab.binds(f"--gpu {gpu.index} --memory bind --strict", within=within, status=1, says=REFUSED)
    lab.binds(f"-N {gpu.node} -m {gpu.node} --strict", within=within, status=1, says=REFUSED)


@case("seccomp refuses the CPU mask as well", on=two_gpu_nodes)
def nothing(lab):
    gpu, _ = last_gpu(lab.machine)
    within = "--refuse set_mempolicy,mbind,sched_setaffinity"
    lab.binds(f"--gpu {gpu.index}", within=within, cpus=lab.own_cpus(), policy="default", says=REFUSED)
    lab.binds(f"--gpu {gpu.index}", within="--refuse sched_setaffinity", cpus=lab.own_cpus(),
              policy=f"prefer (many):{gpu.node}", on=str(gpu.node), says=REFUSED)
    lab.binds(f"--gpu {gpu.index} --strict", within=within, status=1, says=REFUSED)


@case("an ordinary user binds as root does", on=two_gpu_nodes)
def ordinary_user(lab):
    gpu, cpus = last_gpu(lab.machine)
    lab.binds(f"--gpu {gpu.index} --memory bind --strict --verify", within="--uid 65534", cpus=cpus,
              policy=f"bind:{gpu.node}", on=str(gpu.node))
