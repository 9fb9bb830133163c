"""The lab's machines as recorded machines: tests/machines/lab-NAME/{machine.snap, expected.json, ABOUT.md}."""
import json
import os

from image import HERE
from machines import PCI_IDS, id_list

ABOUT = """# lab-{name}

{about}.

Recorded by `numapin snapshot` in a guest of tests/lab (QEMU, Debian's kernel {kernel}); `tests/lab/run --update-snapshots
{name}` makes it anew. expected.json follows from the machine's description in tests/lab/machines.py, which the cases of
tests/lab/cases/machine.py compare with the guest's kernel: nothing in it comes from numapin.
"""


def expected(m):
    def device(d):
        vendor, device_id = PCI_IDS[d.kind]
        return {"address": d.address, "vendor": f"{vendor:04x}", "device": f"{device_id:04x}",
                "numa_nodes": None if d.node is None else [d.node]}

    return {"online_cpulist": id_list(m.online), "offline_cpulist": id_list(m.offline),
            "numa_nodes": [{"id": i, "cpulist": id_list(c), "distances": {str(j): d for j, d in enumerate(m.distances[i])}}
                           for i, c in enumerate(m.nodes)],
            "packages": sorted(map(id_list, m.packages)), "cores": sorted(map(id_list, m.siblings)),
            "l3": sorted(map(id_list, m.l3)), "gpus": [device(d) for d in m.gpus],
            "nics": [device(d) for d in m.nics], "nvme": [{k: device(d)[k] for k in ("address", "numa_nodes")} for d in m.nvme]}


def compare(lab, topo, want):
    """`topo --json` against expected(m)."""
    for name in "online_cpulist", "offline_cpulist":
        lab.expect(name, topo[name], want[name])
    for name in "packages", "cores", "l3":
        lab.expect(name, sorted(x["cpulist"] for x in topo[name]), want[name])
    for name in "numa_nodes", "gpus", "nics", "nvme":
        lab.expect(f"number of {name}", len(topo[name]), len(want[name]))
        for i, (got, wanted) in enumerate(zip(topo[name], want[name])):
            lab.expect(f"{name}[{i}]", {k: got.get(k) for k in wanted}, wanted)


def write(m, kernel, snapshot):
    directory = f"{HERE}/../machines/lab-{m.name}"
    os.makedirs(directory, exist_ok=True)
    files = {"machine.snap": snapshot, "expected.json": json.dumps(expected(m), indent=1) + "\n",
             "ABOUT.md": ABOUT.format(name=m.name, about=m.about, kernel=kernel)}
    for name, text in files.items():
        with open(f"{directory}/{name}", "w") as f:
            f.write(text)
