"""What `numapin run --gpu N` must do on a machine of the lab, worked out from its description: the independent table."""
from machines import id_list

SCOPES = ("node", "socket", "l3", "all", "none")
MEMORY = ("preferred", "bind", "interleave", "weighted-interleave", "local", "none")
KERNEL_WORD = {"preferred": "prefer (many)", "bind": "bind", "interleave": "interleave",
               "weighted-interleave": "weighted interleave"}


def gpu_nodes(m, gpu):
    """The GPU's node; every node with CPUs where the firmware does not tell and there are several."""
    return m.cpu_nodes if gpu.node is None else {gpu.node}


def node_cpus(m, nodes):
    return set().union(*(m.nodes[n] for n in nodes))


def scope_cpus(m, gpu, scope):
    """CPUs of `--cpus scope` (all threads)."""
    near = node_cpus(m, gpu_nodes(m, gpu))
    if scope == "node":
        return near
    if scope == "socket":
        return set().union(*(p for p in m.packages if p & near))
    if scope == "l3":  # the GPUs of a node take its L3 groups in turn
        groups = [group & near for group in m.l3 if group & near]
        turn = [g for g in m.gpus if g.node == gpu.node].index(gpu)
        return near if gpu.node is None else groups[turn % len(groups)]
    return m.online


def one_thread_a_core(m, cpus):
    return {min(core & cpus) for core in m.siblings if core & cpus}


def bound_cpus(m, gpu, scope, smt):
    cpus = scope_cpus(m, gpu, scope)
    return id_list(cpus if smt == "on" or scope == "none" else one_thread_a_core(m, cpus))


def policy(m, gpu, memory):
    """The kernel's words in numa_maps. Where nobody knows the GPU's node, no node is better than another: nothing is set."""
    if memory in KERNEL_WORD and gpu.node is not None:
        return f"{KERNEL_WORD[memory]}:{gpu.node}"
    return "local" if memory == "local" else "default"


def page_nodes(m, gpu, scope, memory):
    """Node of touched pages; None: the task may run anywhere, and its pages with it."""
    if memory in KERNEL_WORD and gpu.node is not None:
        return str(gpu.node)
    cpus = scope_cpus(m, gpu, scope)
    nodes = {n for n, of_node in enumerate(m.nodes) if of_node & cpus}
    return id_list(nodes) if len(nodes) == 1 else None
