"""`run --gpu N` in each mode binds as the table in truth.py says."""
from itertools import product

import truth
from lab import case
from machines import H100, MI300X, PVC


def gpus(machine):
    return [g.index for g in machine.gpus]


@case("run --gpu {}: every --cpus x --memory x --smt", each=gpus)
def modes(lab, index):
    m = lab.machine
    gpu = m.gpus[index]
    before = sum(g.node == gpu.node for g in m.gpus[:index])  # GPUs of one node have the same answers:
    for i, (scope, memory, smt) in enumerate(product(truth.SCOPES, truth.MEMORY, ("on", "off"))):
        # the first takes every mode, the others a seventh each (prime to the twelve of a scope: all have their turn)
        if (lab.quick or before) and i % 7 != before % 7:
            continue
        if memory == "weighted-interleave" and lab.kernel == "6.1":
            continue  # cases/weighted.py
        cpus = lab.own_cpus() if scope == "none" else truth.bound_cpus(m, gpu, scope, smt)
        want = dict(cpus=cpus, policy=truth.policy(m, gpu, memory))
        nodes = truth.page_nodes(m, gpu, scope, memory)
        lab.binds(f"--gpu {index} --cpus {scope} --memory {memory} --smt {smt}", **want, **({"on": nodes} if nodes else {}))


@case("run --gpu: without more options, by address, and several GPUs")
def defaults(lab):
    m = lab.machine
    for gpu in m.gpus:
        want = dict(cpus=truth.bound_cpus(m, gpu, "node", "on"), policy=truth.policy(m, gpu, "preferred"))
        lab.binds(f"--gpu {gpu.index}", **want)
        lab.binds(f"--gpu {gpu.address}", **want)
    known = [g for g in m.gpus if g.node is not None]
    nodes = {g.node for g in known}
    every = ",".join(str(g.index) for g in known)
    lab.binds(f"--gpu {every}", cpus=truth.id_list(truth.node_cpus(m, nodes)),
              policy=f"prefer (many):{truth.id_list(nodes)}")


@case("run --gpu: the profiles")
def profiles(lab):
    m = lab.machine
    gpu = m.gpus[-1]
    everywhere = truth.id_list(m.cpu_nodes)  # memory without CPUs is not DRAM: slower, and not asked for
    lab.binds(f"--gpu {gpu.index} --profile training", cpus=truth.bound_cpus(m, gpu, "node", "on"),
              policy=truth.policy(m, gpu, "preferred"))
    lab.binds(f"--gpu {gpu.index} --profile inference", cpus=truth.bound_cpus(m, gpu, "node", "off"),
              policy=truth.policy(m, gpu, "bind"))
    lab.binds(f"--gpu {gpu.index} --profile big-memory", cpus=truth.bound_cpus(m, gpu, "node", "on"),
              policy=f"interleave:{everywhere}", on=everywhere)


@case("run sets the variable that makes the GPU the only visible one")
def visible(lab):
    for gpu in lab.machine.gpus:
        index = str([g for g in lab.machine.gpus if g.kind == gpu.kind].index(gpu))  # among its maker's
        # Level Zero counts tiles, and this one has two (ZE_FLAT_DEVICE_HIERARCHY is FLAT unless set)
        want = {H100: dict(env_CUDA_VISIBLE_DEVICES=index, env_CUDA_DEVICE_ORDER="PCI_BUS_ID"),
                MI300X: dict(env_ROCR_VISIBLE_DEVICES=index), PVC: dict(env_ZE_AFFINITY_MASK="0,1")}[gpu.kind]
        lab.binds(f"--gpu {gpu.index}", **want)


@case("--gpu counts within CUDA_VISIBLE_DEVICES", on="dual switch quad")
def within_visible(lab):
    m = lab.machine
    last = m.gpus[-1]
    lab.binds("--gpu 0", env={"CUDA_VISIBLE_DEVICES": str(last.index), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
              cpus=truth.bound_cpus(m, last, "node", "on"), on=str(last.node), env_CUDA_VISIBLE_DEVICES=str(last.index))
    lab.binds("", env={"CUDA_VISIBLE_DEVICES": str(last.index), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
              cpus=truth.bound_cpus(m, last, "node", "on"), on=str(last.node))
