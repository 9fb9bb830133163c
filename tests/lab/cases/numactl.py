"""Options of numactl and taskset mean to `numapin run` what they mean to those tools."""
import contextlib
import fcntl
import os
import shlex
import socket
import struct

from lab import case, id_list, ids, read, see

NUMACTL = {
    "CPUs of nodes": ["-N 0", "-N 1", "--cpunodebind=1", "--cpunodebind 0,1", "-N 0-1", "-N all", "-N !0", "-N !1", "-N +0",
                      "-N +1", "-N +0-1", "--cpunodebind=!+0"],
    "CPUs": ["-C 0", "-C 0-1", "-C 0,2", "--physcpubind=1-2", "--physcpubind 0,1-2", "-C all", "-C !0", "-C !0-1", "-C +0",
             "-C +1,2", "-C !+0"],
    "memory bound": ["-m 0", "-m 1", "--membind=0,1", "--membind 0-1", "-m all", "-m !0", "-m +1", "-b -m 0",
                     "--balancing --membind=0,1"],
    "memory interleaved": ["-i 0", "-i 0-1", "--interleave=all", "--interleave 0,1", "-i !1", "-i +0-1"],
    "memory preferred": ["-p 0", "-p 1", "--preferred=1", "--preferred 0", "-p +1", "-P 0", "-P 0-1", "-P all",
                         "--preferred-many=1", "--preferred-many 0,1"],
    "memory local": ["-l", "--localalloc"],
    "CPUs and memory": ["-N 0 -m 0", "-N 1 -m 0,1", "-N 1 -m same", "-m 1 -N same", "-C 0-1 -p 1", "-N 0 -i all", "-N 1 -l",
                        "-N 0 -P 0-1", "--all -C 0 -m 1", "-a -N 1"],
}
TASKSET = [("--cpu-list 0-1", "-c 0-1"), ("--cpu-list 0,2-3", "-c 0,2-3"), ("--cpu-list 0-3:2", "-c 0-3:2"),
           ("--cpu-mask 0x5", "0x5"), ("--cpu-mask f", "f"), ("--cpu-mask 3", "3")]


def two_nodes(machine):
    return len(machine.nodes) > 1


def online(lab, cpus):
    """An offline CPU in a mask means nothing: numactl leaves them in, the kernel clears them where a cpuset is set."""
    return id_list(ids(cpus) & lab.machine.online)


def same(lab, options, tool, within=""):
    """`numapin run options` leaves a process where `tool` leaves it."""
    probe = [lab.probe, "show"]
    ours, theirs = lab.run(options, within=within), see(lab.command(shlex.split(tool) + probe, within=within))
    if not lab.check(f"run {options}: status {ours.status} ({ours.err.strip()}), {tool}: status {theirs.status} "
                     f"({theirs.err.splitlines()[:1]})", (ours.status == 0) == (theirs.status == 0)):
        return
    if theirs.status != 0:
        return
    lab.expect(f"run {options}: CPUs as {tool} sets them", online(lab, ours.cpus), online(lab, theirs.cpus))
    for what in "mems", "policy":
        lab.expect(f"run {options}: {what} as {tool} sets it", getattr(ours, what), getattr(theirs, what))
    mode, _, nodes = theirs.policy.partition(":")
    if mode == "interleave" or nodes.isdigit():  # else the CPU of the moment chooses among several nodes
        lab.expect(f"run {options}: nodes of pages", ours.on, theirs.on)


@case("numactl's options: {}", on=two_nodes, each=lambda machine: list(NUMACTL))
def numactl(lab, group):
    for options in NUMACTL[group]:
        same(lab, options, f"numactl {options}")


@case("numactl --show prints the same below both", on="small cxl offline big")
def show(lab):
    for options in ("-N 1 -m 1", "-C 0,2 -i all", "-p 1", "-N 0 -l", "-P 0-1"):
        ours = lab.tool([lab.numapin, "run", *options.split(), "--", "numactl", "--show"])
        lab.expect(f"numactl --show under run {options}", ours, lab.tool(f"numactl {options} numactl --show"))


@case("numactl's options within a cpuset", on="dual quad")
def within_cpuset(lab):
    with lab.cgroup(cpuset_cpus="1-4,6,13", cpuset_mems="1") as path:
        for options in ("-N 0", "-C 0", "-C +0-1", "-C +2", "-C !1", "-C all", "-N all", "-m all", "-m +0", "-m 0", "-i all",
                        "-N !1"):
            same(lab, options, f"numactl {options}", within=f"--cgroup {path}")


@case("taskset's list and mask forms", on="small dual offline")
def taskset(lab):
    for ours, theirs in TASKSET:
        same(lab, ours, f"taskset {theirs}")


@case("masks beyond 64 CPUs", on="big")
def wide(lab):
    for ours, theirs in (("--cpu-list 60-100:4", "-c 60-100:4"), ("--cpu-list 127", "-c 127"),
                         ("--cpu-mask 0x80000000000000000000000000000001", "0x80000000000000000000000000000001")):
        same(lab, ours, f"taskset {theirs}")
    same(lab, "-C 63-64,127", "numactl -C 63-64,127")


@case("a node by its device: netdev, block, pci", on="dual")
def devices(lab):
    m = lab.machine
    for name, device in (("netdev:eth0", "class/net/eth0/device"), ("netdev:eth1", "class/net/eth1/device"),
                         ("block:nvme0n1", "block/nvme0n1/device/device"), ("block:nvme1n1", "block/nvme1n1/device/device")):
        same(lab, f"-N {name} -m {name}", f"numactl -N {name} -m {name}")
        lab.binds(f"-N {name}", cpus=id_list(m.nodes[int(read(f"/sys/{device}/numa_node"))]))
    for gpu in m.gpus:  # numactl 2.0.16 looks for devices directly below the host bridge only, and finds none of these
        for name in f"pci:{gpu.address[5:]}", f"pci:{gpu.address}", "pci:" + gpu.address[5:].replace(".", ":"):
            lab.binds(f"-N {name} -m {name}", cpus=id_list(m.nodes[gpu.node]), policy=f"bind:{gpu.node}", on=str(gpu.node))


@contextlib.contextmanager
def mounted(lab, disk):
    """The file system of a disk; gives the path of its one file."""
    where = "/run/mounted"
    os.makedirs(where, exist_ok=True)
    lab.tool(f"mount -t ext4 -o ro {disk} {where}")
    try:
        yield f"{where}/data"
    finally:
        lab.tool(f"umount {where}")


@contextlib.contextmanager
def interface_up(name, address):
    """With an IPv4 address out of 255; ioctl(2), as the guest may lack the ip command."""
    up, set_flags, set_address, set_mask = 0x1, 0x8914, 0x8916, 0x891c
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        def change(request, text):
            sockaddr = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))
            fcntl.ioctl(s, request, struct.pack("16s16s8x", name.encode(), sockaddr))

        change(set_address, address)
        change(set_mask, "255.255.255.0")
        fcntl.ioctl(s, set_flags, struct.pack("16sH22x", name.encode(), up))
        try:
            yield
        finally:
            fcntl.ioctl(s, set_flags, struct.pack("16sH22x", name.encode(), 0))


@case("a node by what lies on its device: file, ip", on="dual")
def behind_devices(lab):
    m = lab.machine
    for disk in "nvme0n1", "nvme1n1":
        node = int(read(f"/sys/block/{disk}/device/device/numa_node"))
        with mounted(lab, f"/dev/{disk}") as path:
            lab.binds(f"-N file:{path} -m file:{path}", cpus=id_list(m.nodes[node]), policy=f"bind:{node}", on=str(node))
            same(lab, f"-N file:{path}", f"numactl -N file:{path}")
    for number, name in enumerate(("eth0", "eth1"), 1):
        node = int(read(f"/sys/class/net/{name}/device/numa_node"))
        with interface_up(name, f"10.{number}.0.1"):
            lab.binds(f"-N ip:10.{number}.0.9 -m ip:10.{number}.0.9", cpus=id_list(m.nodes[node]), policy=f"bind:{node}", on=str(node))
            same(lab, f"-N ip:10.{number}.0.9", f"numactl -N ip:10.{number}.0.9")
    lab.binds("-N ip:10.3.0.1", status=1, says="10.3.0.1")


@case("contradictory options name both")
def contradictions(lab):
    for options, first, second in (("-m 0 -i 0", "membind|-m", "interleave|-i"), ("-l -m 0", "localalloc|-l", "membind|-m"),
                                   ("--gpu 0 --cpus node -C 0", "--cpus", "physcpubind|-C")):
        lab.binds(options, status=2, says=f"(?s)({first}).*({second})|({second}).*({first})")
