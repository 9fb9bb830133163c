"""compare on two nodes: a memory-bound program under each configuration. Mechanics only: emulated memory is equally fast
everywhere, so what is looked at is where each run was and what is said of it, never which is faster."""
import json
import os

from lab import case, id_list

GPU, MIB = 1, 4
PAGES = 3 * MIB * 256  # three arrays
METRIC = "speed: ([0-9.]+) MB/s"


def compare(lab, *options, passes=6, env=None):
    """The report, the program's own log (CPUs, {node: pages}) of each run in turn, the result."""
    log = "/run/triad.log"
    if os.path.exists(log):
        os.unlink(log)
    r = lab.command([lab.numapin, "compare", "--gpu", str(GPU), "--json", "-q", *options, "--", lab.triad, log, str(MIB), str(passes)], env=env)
    runs = []
    if os.path.exists(log):
        with open(log) as f:
            for line in f:
                cpus, *pages = line.split()
                runs.append((cpus, {int(n): int(count) for n, count in (p.split(":") for p in pages)}))
    report = json.loads(r.stdout) if r.stdout.startswith("{") else None
    return report, runs, r


def places(lab):
    """What each configuration is, by the machine's description: CPUs, and the node of all pages (None: nobody's business)."""
    near = lab.machine.gpus[GPU].node
    far = max((n for n in lab.machine.cpu_nodes if n != near), key=lambda n: lab.machine.distances[near][n])
    cpus = {n: id_list(lab.machine.nodes[n]) for n in (near, far)}
    everywhere = lab.own_cpus()
    return {"none": (everywhere, None), "cpu": (cpus[near], near), "memory": (everywhere, near), "both": (cpus[near], near),
            "wrong": (cpus[far], far)}


@case("compare: every run of a memory-bound program is where its configuration says", on="small")
def placed(lab):
    rounds, passes, want = 2, 6, places(lab)
    report, runs, r = compare(lab, "--configs", ",".join(want), "--runs", str(rounds), "--higher-is-better", "--metric", METRIC,
                              "--metric", "wall", passes=passes)
    if not lab.check(f"status {r.returncode}: {r.stderr[:300]}", r.returncode == 0 and report):
        return
    trials = report["trials"]
    lab.expect("trials", len(trials), len(want) * (1 + rounds))
    lab.expect("runs that the program logged", len(runs), len(trials))
    lab.expect("left out", r.stderr, "")
    for trial, (cpus, pages) in zip(trials, runs):
        name, (wanted_cpus, node) = f"{trial['config']} in round {trial['round']}", want[trial["config"]]
        lab.expect(f"{name}: CPUs", cpus, wanted_cpus)
        lab.expect(f"{name}: pages", sum(pages.values()), PAGES)
        if node is not None:
            lab.check(f"{name}: pages by node {pages}, want {node}", set(pages) == {node})
        lab.expect(f"{name}: values", len(trial["values"][0]), passes)
        lab.expect(f"{name}: wall", trial["values"][1], [trial["wall_s"]])
    for number in range(rounds):
        lab.expect(f"round {number}", sorted(t["config"] for t in trials if t["round"] == number), sorted(want))
    verdicts = {row["config"]: row["effect"]["verdict"] for row in report["results"][0]["configs"][1:]}
    lab.expect("verdicts on two rounds", set(verdicts.values()), {"too few runs"})
    lab.check(f"no line to use: {report['conclusion']}", "too few runs" in report["conclusion"])


@case("compare: memory by node and misses are seen while the program runs", on="small")
def seen(lab):
    want = {name: places(lab)[name] for name in ("both", "wrong")}
    report, _, r = compare(lab, "--configs", "both,wrong", "--runs", "1", "--metric", METRIC, passes=45)  # longer than a look takes
    if not lab.check(f"status {r.returncode}: {r.stderr[:300]}", r.returncode == 0 and report):
        return
    for trial in report["trials"]:
        name, node = trial["config"], str(want[trial["config"]][1])
        here = trial["bytes_by_node"].get(node, 0) / 2**20
        lab.check(f"{name}: {trial['bytes_by_node']}: less than 10 MiB on node {node}", here >= 10)
        lab.check(f"{name}: numa_misses {trial['numa_misses']}", trial["numa_misses"] is not None)
        lab.check(f"{name}: CPU time {trial['cpu_s']}, wall {trial['wall_s']}", 0 < trial["cpu_s"] <= 1.5 * trial["wall_s"])
        lab.check(f"{name}: max RSS {trial['max_rss_bytes']}", trial["max_rss_bytes"] >= PAGES * 4096)


@case("compare: a configuration that fails is told, the others go on", on="small")
def failing(lab):
    far = places(lab)["wrong"][0]
    report, runs, r = compare(lab, "--configs", "none,both,wrong", "--runs", "1", "--metric", METRIC, env={"TRIAD_FAIL_ON": far})
    if not lab.check(f"status {r.returncode}: {r.stderr[:300]}", r.returncode == 0 and report):
        return
    lab.expect("runs", len(runs), 6)
    statuses = {(t["config"], t["status"]) for t in report["trials"]}
    lab.expect("statuses", statuses, {("none", 0), ("both", 0), ("wrong", 3)})
    for trial in report["trials"]:
        told = f"triad: no room on CPUs {far}" in trial["last_lines"]
        lab.expect(f"{trial['config']}: its last lines say why: {trial['last_lines']}", told, trial["config"] == "wrong")
    lab.check(f"the conclusion: {report['conclusion']}", "too few runs" in report["conclusion"])
