"""The lab itself: the kernel sees the machine that machines.py describes, so that its tables may serve as truth."""
import os

from lab import case, id_list, read
from machines import PCI_IDS

CPU, NODE, PCI = "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/bus/pci/devices"


def shared(m, path):
    """The distinct sets that `path` of each online CPU tells."""
    return sorted({read(f"{CPU}/cpu{c}/{path}") for c in m.online})


@case("the kernel sees the described CPUs")
def cpus(lab):
    m = lab.machine
    lab.expect("online", read(f"{CPU}/online"), id_list(m.online))
    lab.expect("offline", read(f"{CPU}/offline"), id_list(m.offline))
    lab.expect("cores", shared(m, "topology/thread_siblings_list"), sorted(map(id_list, m.siblings)))
    lab.expect("packages", shared(m, "topology/package_cpus_list"), sorted(map(id_list, m.packages)))
    lab.expect("L3", shared(m, "cache/index3/shared_cpu_list"), sorted(map(id_list, m.l3)))


@case("the kernel sees the described nodes")
def nodes(lab):
    m = lab.machine
    lab.expect("nodes", read(f"{NODE}/online"), id_list(range(len(m.nodes))))
    lab.expect("nodes with CPUs", read(f"{NODE}/has_cpu"), id_list(m.cpu_nodes))
    for i, node_cpus in enumerate(m.nodes):
        lab.expect(f"CPUs of node {i}", read(f"{NODE}/node{i}/cpulist"), id_list(node_cpus))
        lab.expect(f"distances of node {i}", read(f"{NODE}/node{i}/distance"), " ".join(map(str, m.distances[i])))


@case("the kernel sees the described PCI devices")
def devices(lab):
    m, found = lab.machine, []
    wanted = {ids for kind, ids in PCI_IDS.items()}
    for address in sorted(os.listdir(PCI)):
        of = {n: read(f"{PCI}/{address}/{n}") for n in ("vendor", "device", "numa_node", "local_cpulist")}
        if (int(of["vendor"], 16), int(of["device"], 16)) in wanted:
            found.append((address, int(of["numa_node"]), of["local_cpulist"]))
    lab.expect("devices", found, [(d.address, -1 if d.node is None else d.node,
                                   id_list(m.online if d.node is None else m.nodes[d.node])) for d in m.devices])
