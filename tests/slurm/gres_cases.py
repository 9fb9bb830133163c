"""numapin slurm gres against slurmd itself, which HWLOC_SYNTHETIC makes believe that it runs on that machine."""
import os
import re
import subprocess
import time

from cluster import read, write

CONF = """\
ClusterName=c
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/none
ProctrackType=proctrack/linuxproc
SlurmdSpoolDir={dir}/spool
SlurmdPidFile={dir}/slurmd.pid
SlurmdLogFile={dir}/slurmd.log
SlurmdParameters=config_overrides
"""
# hwloc's description of numapin's built-in machines, and the node of each GPU: both from tests/machines and the machines'
# own papers, none from numapin's output.
BUILT_IN = {
    "dgx-h100": ("pack:2 [numa] core:56 pu:2", [0] * 4 + [1] * 4),
    "dual-a100": ("pack:2 [numa] core:12 pu:2", [0] * 4 + [1] * 4),
    "epyc-nps4": ("pack:2 numa:4 core:16 pu:2", [3, 3, 1, 1, 7, 7, 5, 5]),
    "vm": ("pack:1 [numa] core:4 pu:2", [0]),
    "gh200": ("pack:1 [numa] core:72 pu:1", [0]),
}


def interleaved(packages, cores, threads):
    """CPU numbers as many two-socket servers have them: neighbours are on different sockets, second threads come last."""
    numbers = [t * packages * cores + c * packages + p for p in range(packages) for c in range(cores) for t in range(threads)]
    return f"pack:{packages} [numa] core:{cores} pu:{threads}(indexes={','.join(map(str, numbers))})"


# Machines that only hwloc's XML describes, with a GPU put on each of these packages.
AS_XML = {"interleaved": (interleaved(2, 4, 2), [0, 1, 1]), "four sockets": ("pack:4 [numa] core:6 pu:1", [3, 0, 2, 1])}


def output(argv, synthetic=None, **options):
    env = {**os.environ, "SLURM_CONF": "/nowhere"}
    if synthetic:
        env |= {"HWLOC_SYNTHETIC": synthetic, "HWLOC_THISSYSTEM": "1"}
    r = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **options)
    return r.stdout, r.stderr


def spelt_out(line):
    """File=/dev/nvidia[0-3] -> four (file, cores, links)."""
    words = dict(w.split("=", 1) for w in line.split() if "=" in w)
    m = re.fullmatch(r"(.*)\[(\d+)-(\d+)\]", words["File"])
    files = [f"{m[1]}{i}" for i in range(int(m[2]), int(m[3]) + 1)] if m else [words["File"]]
    return [(f, words.get("Cores"), words.get("Links"), words.get("Type")) for f in files]


def hwloc_cores(synthetic, node):
    """Logical numbers of the cores of a node, by hwloc."""
    out, err = output(["hwloc-calc", "--if", "synthetic", "--input", synthetic, "-I", "core", f"numa:{node}"])
    return set(map(int, out.strip().split(",")))


def ids(text):
    return {i for part in text.split(",") for a, _, b in [part.partition("-")] for i in range(int(a), int(b or a) + 1)}


def judge(t, name, synthetic, nodes, text):
    """What `slurm gres` printed: slurmd takes it, reads the same back, and its cores are hwloc's."""
    d = f"{t.dir}/gres"
    os.makedirs(d + "/spool", exist_ok=True)
    slurm, gres = text.split("# gres.conf\n")
    write(f"{d}/slurm.conf", CONF.format(dir=d).replace("SlurmdParameters=config_overrides\n", "") + slurm)
    write(f"{d}/gres.conf", gres)
    write(f"{d}/cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    node_line = re.search(r"^NodeName=(\S+) (.*?)( Gres=.*)?$", slurm, re.M)
    as_nodes = "numa_node_as_socket" in slurm
    # The shape, by -C; it does not look at SlurmdParameters, the daemon does.
    hardware = re.search(r"NodeName=\S+ (.*?) RealMemory", output(["slurmd", "-C"], synthetic)[0])[1]
    ours = re.sub(r" RealMemory=.*", "", node_line[2])
    if not as_nodes:
        t.expect(f"{name}: slurmd -C", ours, hardware)
    said = daemon_shape(d, node_line[1], synthetic)
    t.expect(f"{name}: the daemon finds the same hardware", said, re.sub(r"(\w+)PerBoard=", r"\1=", ours).replace("SocketsPerBoard", "Sockets"))
    # GRES, by -G
    written = [row for line in gres.splitlines() if line.startswith("NodeName=") for row in spelt_out(line)]
    out, err = output(["slurmd", "-f", f"{d}/slurm.conf", "-N", node_line[1], "-G"], synthetic)
    loaded = [row for line in re.findall(r"Gres (Name=gpu .*)", out + err) for row in spelt_out(line)]
    t.expect(f"{name}: slurmd -G", sorted(loaded), sorted(written))
    t.check(f"{name}: slurmd has no complaint: {(out + err)[:500]}", "error" not in out + err)
    for gpu, node in enumerate(nodes):
        t.expect(f"{name}: cores of GPU {gpu}", ids(written[gpu][1]), hwloc_cores(synthetic, node))


def daemon_shape(directory, node, synthetic):
    """What a starting slurmd logs of the hardware: "CPUs=8 Boards=1 Sockets=2 …"."""
    env = {**os.environ, "HWLOC_SYNTHETIC": synthetic, "HWLOC_THISSYSTEM": "1"}
    log = f"{directory}/daemon"
    with open(log, "w") as out:
        p = subprocess.Popen(["slurmd", "-D", "-vvv", "-f", f"{directory}/slurm.conf", "-N", node], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 10
        while time.monotonic() < end and p.poll() is None:
            text = read(log)
            if differs := re.search(r"Node configuration differs.*", text):
                return differs[0]
            if found := re.search(r"CPUs:(\d+) Boards:(\d+) Sockets:(\d+) CoresPerSocket:(\d+) ThreadsPerCore:(\d+)", text):
                return "CPUs={} Boards={} Sockets={} CoresPerSocket={} ThreadsPerCore={}".format(*found.groups())
            time.sleep(0.02)
        return read(log)[-300:]
    finally:
        p.kill()
        p.wait()


def with_gpus(xml, packages):
    """hwloc's XML with a host bridge and a GPU in each of these packages, addresses in this order."""
    starts = [m.end() for m in re.finditer(r'<object type="Package"[^>]*>', xml)]
    for i in sorted(range(len(packages)), key=lambda i: -starts[packages[i]]):
        bus = f"{0x10 + i:02x}"
        device = (f'<object type="Bridge" gp_index="{9000 + 2 * i}" bridge_type="0-1" depth="0" bridge_pci="0000:[{bus}-{bus}]">'
                  f'<object type="PCIDev" gp_index="{9001 + 2 * i}" pci_busid="0000:{bus}:00.0" pci_type="0302 [10de:2330] [0000:0000] a1" pci_link_speed="0"/></object>')
        at = starts[packages[i]]
        xml = xml[:at] + device + xml[at:]
    return xml


def built_in(t):
    """slurm gres of the built-in machines: slurmd -C, -G and hwloc agree"""
    for name, (synthetic, nodes) in BUILT_IN.items():
        judge(t, name, synthetic, nodes, output([t.numapin, "slurm", "gres", "--machine", name])[0])


def as_xml(t):
    """slurm gres of hwloc's XML, CPUs numbered in turns, four sockets: the same"""
    for name, (synthetic, packages) in AS_XML.items():
        file = f"{t.dir}/machine.xml"
        write(file, with_gpus(output(["lstopo-no-graphics", "--if", "synthetic", "--input", synthetic, "--of", "xml", "-"])[0], packages))
        judge(t, name, synthetic, packages, output([t.numapin, "slurm", "gres", "--machine", file, "--node", "n1"])[0])


def this_host(t):
    """slurm gres of this very machine: the NodeName line is slurmd's own"""
    ours = re.search(r"^NodeName=\S+ (.*?)( Gres=.*)?$", output([t.numapin, "slurm", "gres"])[0], re.M)[1]
    t.expect("slurmd -C", ours, re.search(r"^NodeName=\S+ (.*)$", output(["slurmd", "-C"])[0], re.M)[1])


GRES_CASES = [this_host, built_in, as_xml]
