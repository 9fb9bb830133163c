"""bench memory: mechanics only, as an emulated machine has no near and far; figures are looked at for being there."""
import json
import re
import subprocess
import time

from lab import case

COMMAND_S = 300


def bound_mappings(pid):
    """Of a process: (bound node, {node: pages}) of each mapping that is bound and holds over 1 MiB."""
    found = []
    try:
        with open(f"/proc/{pid}/numa_maps") as maps:
            for line in maps:
                bound = re.search(r" bind(?:=static)?:(\d+) ", line)
                pages = {int(n): int(count) for n, count in re.findall(r" N(\d+)=(\d+)", line)}
                if bound and sum(pages.values()) > 256:
                    found.append((int(bound[1]), pages))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


@case("bench memory: every pair, on pages of the node it names", on="small cxl")
def pairs(lab):
    bench = subprocess.Popen([lab.numapin, "bench", "memory", "--quick", "--size", "16M", "--json"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    seen, stray, until = set(), [], time.monotonic() + COMMAND_S
    while bench.poll() is None and time.monotonic() < until:
        for node, pages in bound_mappings(bench.pid):
            seen.add(node)
            if set(pages) != {node}:
                stray.append((node, pages))
        time.sleep(0.01)
    out, err = bench.communicate(timeout=10)
    lab.expect("status", bench.returncode, 0)
    lab.check(f"pages of the buffers are on their node only, by the kernel's numa_maps: {stray[:3]}", not stray)
    nodes = range(len(lab.machine.nodes))
    lab.expect("nodes with a buffer", seen, set(nodes))
    report = json.loads(out)
    wanted = {(metric, cpu, memory) for metric in ("read", "write", "copy", "triad", "latency")
              for cpu in lab.machine.cpu_nodes for memory in nodes}
    got = {(m["metric"], m["cpu_node"], m["memory_node"]) for m in report["measurements"] if m["samples"] and m["median"] > 0}
    lab.check(f"every pair has its figures; missing: {sorted(wanted - got)[:4]} {err[:200]}", wanted <= got)
    moves = {(m["cpu"], m["peer_cpu"]) for m in report["measurements"] if m["metric"] == "migration"}
    lab.expect("thread moves between nodes", len(moves), len(lab.machine.cpu_nodes) * (len(lab.machine.cpu_nodes) - 1))


@case("bench memory: a node that the cpuset forbids is left out, with the reason", on="small")
def forbidden(lab):
    with lab.cgroup(cpuset_cpus="0-1", cpuset_mems="0") as path:
        r = lab.command([lab.numapin, "bench", "memory", "--quick", "--size", "16M", "--json"], within=f"--cgroup {path}")
    lab.expect("status", r.returncode, 0)
    report = json.loads(r.stdout)
    reasons = {m["skipped"] for m in report["measurements"] if m["memory_node"] == 1}
    lab.expect("node 1", reasons, {"this process may not use the node's memory"})
    lab.check("node 0 was measured", any(m["samples"] for m in report["measurements"] if m["memory_node"] == 0))
