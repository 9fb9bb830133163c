"""The lab's machines: what QEMU is told, and what follows from it.

The second half (`nodes`, `cores`, `gpus` ...) is the truth that the cases compare with. It is worked out from the
description alone, never from numapin; the case `machine.py` shows that the kernel in the guest agrees with it.
"""
from dataclasses import dataclass, field
from functools import cached_property

# A Xeon by name, without AVX: TCG emulates SSE faster. No MONITOR: a guest that idles by MWAIT spins a host core.
# Intel as vendor: Linux then accepts a last-level cache that spans nodes (SNC) without a complaint.
CPU = ("qemu64,vendor=GenuineIntel,family=6,model=106,stepping=6,"
       "model-id=Intel(R) Xeon(R) lab (QEMU TCG),+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,-svm,-monitor")

H100, MI300X, PVC, NVME, NIC, INFINIBAND = "lab-h100", "lab-mi300x", "lab-pvc", "lab-nvme", "e1000e", "lab-cx7"
PCI_IDS = {H100: (0x10de, 0x2330), MI300X: (0x1002, 0x74a1), PVC: (0x8086, 0x0bd5), NVME: (0x1b36, 0x0010),
           NIC: (0x8086, 0x10d3), INFINIBAND: (0x15b3, 0x1021)}


def id_list(ids):
    """{0, 1, 2, 8} -> "0-2,8": the kernel's list format."""
    runs = []
    for i in sorted(ids):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def ids(text):
    """"0-2,8" -> {0, 1, 2, 8}"""
    out = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        out |= set(range(int(first), int(last or first) + 1))
    return out


@dataclass
class Bridge:
    """A host bridge of its own (pxb-pcie) on `node`; node None is the board's pcie.0, whose devices have numa_node -1.

    Each device hangs behind a root port of its own; a list of devices is a PCIe switch behind one."""
    node: int | None
    bus: int
    devices: list


@dataclass
class Device:
    kind: str
    address: str
    node: int | None  # None: the firmware does not tell
    index: int = 0    # in PCI order, among its kind


@dataclass
class Machine:
    name: str
    about: str
    sockets: int
    cores: int                # a die
    threads: int
    node_parts: list          # per node the (socket, first core, last core) it is made of; []: memory only
    distances: list
    pci: list
    dies: int = 1             # a socket; each has an L3 of its own
    node_mib: int = 1024
    offline: tuple = ()
    hmat: dict = field(default_factory=dict)  # (initiator, target) -> (latency ns, bandwidth MB/s)
    cmdline: str = ""

    # ---- CPUs -------------------------------------------------------------------------------------------------------
    @cached_property
    def threads_in_qemu_order(self):
        """(socket, core, thread), cores counted over the dies of a socket. QEMU puts hyper-threads side by side."""
        return [(s, c, t) for s in range(self.sockets) for c in range(self.dies * self.cores)
                for t in range(self.threads)]

    @cached_property
    def cpu_number(self):
        """(socket, core, thread) -> Linux's CPU number: as a Xeon's firmware has it, first threads first."""
        xeon_order = sorted(self.threads_in_qemu_order, key=lambda x: (x[2], x[0], x[1]))
        return {thread: number for number, thread in enumerate(xeon_order)}

    def apic_id(self, socket, core, thread):
        def bits(n):
            return (n - 1).bit_length()
        die, core = divmod(core, self.cores)
        return (((socket << bits(self.dies) | die) << bits(self.cores)) | core) << bits(self.threads) | thread

    @cached_property
    def online(self):
        return set(self.cpu_number.values()) - set(self.offline)

    @cached_property
    def nodes(self):
        """Online CPUs of each node."""
        return [{self.cpu_number[s, c, t] for s, first, last in parts for c in range(first, last + 1)
                 for t in range(self.threads)} & self.online for parts in self.node_parts]

    def _grouped(self, key):
        groups = {}
        for thread, cpu in self.cpu_number.items():
            groups.setdefault(key(*thread), set()).add(cpu)
        return [g & self.online for _, g in sorted(groups.items()) if g & self.online]

    @cached_property
    def siblings(self):
        """Online CPUs of each core."""
        return self._grouped(lambda s, c, t: (s, c))

    @cached_property
    def packages(self):
        return self._grouped(lambda s, c, t: s)

    @cached_property
    def l3(self):
        return self._grouped(lambda s, c, t: (s, c // self.cores))

    @cached_property
    def cpu_nodes(self):
        return {i for i, cpus in enumerate(self.nodes) if cpus}

    # ---- devices ----------------------------------------------------------------------------------------------------
    @cached_property
    def devices(self):
        """In the order of their addresses, which firmware gives depth first, bus by bus."""
        found = []
        for bridge in self.pci:
            bus = bridge.bus
            for d in bridge.devices:
                bus += 1  # the bus behind the root port
                if isinstance(d, str):
                    found.append(Device(d, f"0000:{bus:02x}:00.0", bridge.node))
                    continue
                bus += 1  # inside the switch
                for e in d:
                    bus += 1
                    found.append(Device(e, f"0000:{bus:02x}:00.0", bridge.node))
        return sorted(found, key=lambda d: d.address)

    def _of_kind(self, *kinds):
        found = [d for d in self.devices if d.kind in kinds]
        for i, d in enumerate(found):
            d.index = i
        return found

    @cached_property
    def gpus(self):
        return self._of_kind(H100, MI300X, PVC)

    @cached_property
    def nics(self):
        return self._of_kind(NIC, INFINIBAND)

    @cached_property
    def nvme(self):
        return self._of_kind(NVME)


def flat(n, far=21):
    return [[10 if i == j else far for j in range(n)] for i in range(n)]


SNC = [[10, 12, 21, 21], [12, 10, 21, 21], [21, 21, 10, 12], [21, 21, 12, 10]]
RING = [[10, 21, 31, 21], [21, 10, 21, 31], [31, 21, 10, 21], [21, 31, 21, 10]]
TWO_SOCKETS = dict(sockets=2, cores=2, threads=2, node_parts=[[(0, 0, 1)], [(1, 0, 1)]], distances=flat(2))
ONE_GPU_EACH = [Bridge(0, 0x17, [H100]), Bridge(1, 0x97, [H100])]
# With many CPUs, ticking before NOHZ starts costs 15 s of boot: init brings them up later
LATE_CPUS = "maxcpus=1"

MACHINES = {m.name: m for m in [
    Machine("small", "2 nodes, 8 CPUs (0-1,4-5 / 2-3,6-7), one H100 each", pci=ONE_GPU_EACH, **TWO_SOCKETS),
    Machine("dual", "2 x 12 cores x 2 threads; 4 H100, NVMe, NIC per node", 2, 12, 2,
            [[(0, 0, 11)], [(1, 0, 11)]], flat(2),
            [Bridge(0, 0x17, [H100] * 4 + [NVME, NIC]), Bridge(1, 0x97, [H100] * 4 + [NVME, NIC])],
            node_mib=2048, cmdline=LATE_CPUS),
    Machine("quad", "4 nodes in a ring (10/21/31), 16 CPUs; one H100 each, InfiniBand on nodes 0 and 2", 4, 2, 2,
            [[(s, 0, 1)] for s in range(4)], RING,
            [Bridge(i, 0x17 + 0x30 * i, [H100, INFINIBAND] if i % 2 == 0 else [H100]) for i in range(4)]),
    Machine("cxl", "2 nodes with CPUs, node 2 memory only (distance 14/24) with HMAT; one H100 per CPU node", 2, 2, 2,
            [[(0, 0, 1)], [(1, 0, 1)], []], [[10, 21, 14], [21, 10, 24], [14, 24, 10]], ONE_GPU_EACH,
            # not with LATE_CPUS: with node 1's CPUs offline when HMAT is read, the kernel files it under a wrong tier
            hmat={(0, 0): (80, 200000), (0, 1): (140, 80000), (0, 2): (250, 60000),
                  (1, 0): (140, 80000), (1, 1): (80, 200000), (1, 2): (400, 30000)}),
    Machine("gpuless-node", "2 nodes; two H100 with numa_node -1, one on node 1",
            pci=[Bridge(None, 0, [H100, H100]), Bridge(1, 0x97, [H100])], **TWO_SOCKETS),
    Machine("snc", "2 sockets, sub-NUMA clusters: 4 nodes, 16 CPUs; two H100 on node 1, two on node 3", 2, 4, 2,
            [[(0, 0, 1)], [(0, 2, 3)], [(1, 0, 1)], [(1, 2, 3)]], SNC,
            [Bridge(1, 0x37, [H100, H100]), Bridge(3, 0xb7, [H100, H100])]),
    Machine("ccd", "2 nodes of two dies with an L3 each (as EPYC's), 16 CPUs; two H100 on node 0, one on node 1", 2, 2, 2,
            [[(0, 0, 3)], [(1, 0, 3)]], flat(2, 32),
            [Bridge(0, 0x17, [H100, H100]), Bridge(1, 0x97, [H100])], dies=2),
    Machine("offline", "2 x 4 cores x 2 threads; CPUs 3,6,11,14-15 offline", 2, 4, 2,
            [[(0, 0, 3)], [(1, 0, 3)]], flat(2), ONE_GPU_EACH, offline=(3, 6, 11, 14, 15)),
    Machine("switch", "2 nodes, 2 host bridges each; behind each a PCIe switch with two H100 and a NIC",
            pci=[Bridge(i // 2, 0x17 + 0x30 * i, [[H100, H100, NIC]]) for i in range(4)], **TWO_SOCKETS),
    Machine("big", "2 x 32 x 2 = 128 CPUs, two H100 each: CPU masks beyond 64 bits", 2, 32, 2,
            [[(0, 0, 31)], [(1, 0, 31)]], flat(2),
            [Bridge(0, 0x17, [H100, H100]), Bridge(1, 0x97, [H100, H100])], node_mib=2048, cmdline=LATE_CPUS),
    Machine("uma", "one node, 4 CPUs; a GPU of each of three makers", 1, 2, 2,
            [[(0, 0, 1)]], [[10]], [Bridge(0, 0x17, [H100, MI300X, PVC])]),
]}


# ---- QEMU's options --------------------------------------------------------------------------------------------------
def qemu_options(m, disk):
    """`disk` is the file that all NVMe disks show, read-only."""
    return _board(m) + _numa(m) + _pci(m, disk)


def _board(m):
    machine = "q35,hpet=off,sata=off,smbus=off,usb=off,vmport=off,i8042=off,graphics=off"
    return ["-machine", machine + (",hmat=on" if m.hmat else ""), "-cpu", CPU,
            "-smp", f"{len(m.threads_in_qemu_order)},sockets={m.sockets},dies={m.dies},cores={m.cores},threads={m.threads}",
            "-m", f"{m.node_mib * len(m.node_parts)}M"]


def _numa(m):
    a = []
    for i, parts in enumerate(m.node_parts):
        a += ["-object", f"memory-backend-ram,id=m{i},size={m.node_mib}M,prealloc=off"]
        node = f"node,nodeid={i},memdev=m{i}"
        for s, first, last in parts:
            start = m.threads_in_qemu_order.index((s, first, 0))
            node += f",cpus={start}-{start + (last - first + 1) * m.threads - 1}"
        if m.hmat:  # QEMU wants an initiator of every node: itself, or the one with the least latency
            node += f",initiator={i if parts else min((v[0], k[0]) for k, v in m.hmat.items() if k[1] == i)[1]}"
        a += ["-numa", node]
    for i, row in enumerate(m.distances):
        for j, value in enumerate(row):
            if i != j:
                a += ["-numa", f"dist,src={i},dst={j},val={value}"]
    for (i, t), (latency, bandwidth) in sorted(m.hmat.items()):
        pair = f"hmat-lb,initiator={i},target={t},hierarchy=memory,data-type=access-"
        a += ["-numa", f"{pair}latency,latency={latency}", "-numa", f"{pair}bandwidth,bandwidth={bandwidth}M"]
    return a


def _pci(m, disk):
    a, ports = [], 0

    def device(kind, bus, number):
        if kind == NVME:
            return ["-blockdev", f"file,node-name=nv{number},filename={disk},read-only=on",
                    "-device", f"{kind},bus={bus},drive=nv{number},serial=lab{number}"]
        return ["-device", f"{kind},bus={bus}" + (",romfile=" if kind == NIC else "")]

    def port(kind, bus, slot):
        # ioh3420 and not pcie-root-port: it has no BAR, and sizing one takes 0.2 s with 48 CPUs.
        # hotplug=off: no I/O window is set aside, of which only 16 fit
        nonlocal ports
        ports += 1
        name = f"port{ports}"
        a.extend(["-device", f"{kind},id={name},bus={bus},addr={slot:x}.0,chassis={ports},slot={ports},hotplug=off"])
        return name

    for h, bridge in enumerate(m.pci):
        bus, first_slot = "pcie.0", 4
        if bridge.node is not None:
            bus, first_slot = f"pxb{h}", 0
            a += ["-device", f"pxb-pcie,id={bus},bus=pcie.0,addr={0x10 + h:x}.0,bus_nr={bridge.bus},numa_node={bridge.node}"]
        for i, d in enumerate(bridge.devices):
            root = port("ioh3420", bus, first_slot + i)
            if isinstance(d, str):
                a += device(d, root, ports)
                continue
            up = f"up{ports}"
            a += ["-device", f"x3130-upstream,id={up},bus={root}"]
            for j, e in enumerate(d):
                below = port("xio3130-downstream", up, j)
                a += device(e, below, ports)
    return a
