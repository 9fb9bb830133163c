"""`topo` against the kernel's tools: numactl, hwloc, and the description of the machine."""
import json
import re
import xml.etree.ElementTree as xml

import recorded
from lab import case, id_list


@case("topo --json as the machine is described")
def described(lab):
    topo = json.loads(lab.numapin_out("topo --json"))
    recorded.compare(lab, topo, recorded.expected(lab.machine))


@case("topo --hardware as numactl --hardware prints it")
def hardware(lab):
    free = re.compile(r"(node \d+ free:) (\d+) MB")
    ours, theirs = lab.numapin_out("topo --hardware"), lab.tool("numactl --hardware")
    lab.expect("text", free.sub(r"\1", ours), free.sub(r"\1", theirs))
    for (_, a), (node, b) in zip(free.findall(ours), free.findall(theirs)):
        lab.check(f"{node} {a} MB, numactl says {b}", abs(int(a) - int(b)) < 40)


@case("topo --json agrees with hwloc")
def hwloc(lab):
    topo = json.loads(lab.numapin_out("topo --json"))
    seen = read_hwloc(xml.fromstring(lab.tool("lstopo-no-graphics --of xml --whole-io")))
    lab.expect("nodes", [(n["id"], n["memory_total_bytes"]) for n in topo["numa_nodes"]], seen["nodes"])
    if seen["distances"]:  # hwloc has none for one node
        lab.expect("distances", [[n["distances"][str(j)] for j, _ in seen["nodes"]] for n in topo["numa_nodes"]], seen["distances"])
    lab.expect("packages", sorted(p["cpulist"] for p in topo["packages"]), seen["Package"])
    lab.expect("cores", sorted(c["cpulist"] for c in topo["cores"]), seen["Core"])
    lab.expect("L3", sorted(c["cpulist"] for c in topo["l3"]), seen["L3Cache"])
    lab.expect("PCI devices", sorted(p["address"] for p in topo["pci"]), sorted(seen["pci"]))
    for gpu in topo["gpus"]:
        # hwloc hangs a device of unknown locality below the whole machine, and a memory-only node beside the nearest CPUs
        ours = gpu["numa_nodes"] if gpu["numa_nodes"] is not None else sorted(lab.machine.cpu_nodes)
        theirs = [n for n in seen["pci"][gpu["address"]] if n in lab.machine.cpu_nodes]
        lab.expect(f"nodes of GPU {gpu['address']}", ours, theirs)


def read_hwloc(root):
    """A reader of lstopo's XML of its own: sets of CPUs by kind of object, nodes, and the nodes near each PCI device."""
    seen = {"Package": [], "Core": [], "L3Cache": [], "nodes": [], "pci": {}, "distances": []}

    def walk(o, near):
        kind = o.get("type")
        if o.get("cpuset"):
            cpus = id_list(mask(o.get("cpuset")))
            if kind in ("Package", "Core", "L3Cache"):
                seen[kind].append(cpus)
            near = sorted(n for n in mask(o.get("nodeset")))
        if kind == "NUMANode":
            seen["nodes"].append((int(o.get("os_index")), int(o.get("local_memory"))))
        if o.get("pci_busid"):
            seen["pci"][o.get("pci_busid")] = near
        for child in o.findall("object"):
            walk(child, near)

    walk(root.find("object"), [])
    for kind in "Package", "Core", "L3Cache", "nodes":
        seen[kind].sort()
    table = root.find("distances2[@name='NUMALatency']")
    if table is not None:
        values = [int(v) for e in table.findall("u64values") for v in e.text.split()]
        size = len(seen["nodes"])
        seen["distances"] = [values[i * size:(i + 1) * size] for i in range(size)]
    return seen


def mask(text):
    """"0xff,0x0000000f", 32 bits a group -> ids"""
    value = 0
    for group in text.split(","):
        value = value << 32 | int(group or "0", 16)
    return {i for i in range(value.bit_length()) if value >> i & 1}


@case("a snapshot replays as the live machine")
def replay(lab):
    lab.tool([lab.numapin, "snapshot", "--keep-ids", "/run/machine.snap"])
    live, again = (json.loads(lab.numapin_out(f"topo --json {o}")) for o in ("", "--machine /run/machine.snap"))
    for document in live, again:  # memory in use changes from one call to the next
        for node in document["numa_nodes"]:
            node.pop("memory_free_bytes", None)
    lab.expect("topo --json", again, live)
