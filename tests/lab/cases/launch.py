"""`numapin launch`: a bound process for each GPU, each with cores of its own, as the kernel and the probes tell."""
import re
import shlex
import subprocess
import time

from lab import Seen, case, id_list, ids, see

RANK = re.compile(r"^\[ *(\d+)\] (.*)$")


def many_gpus(m):
    """Several GPUs, all of a known node, and cores for each."""
    return len(m.gpus) > 2 and all(g.node is not None for g in m.gpus) and all(
        len(cores_of(m, n)) >= sum(g.node == n for g in m.gpus) for n in {g.node for g in m.gpus})


def cores_of(m, node):
    """The node's cores by their first CPU."""
    return sorted((core & m.nodes[node] for core in m.siblings if core & m.nodes[node]), key=min)


def launched(lab, options, command):
    """What each rank's probe saw, by rank; the launcher's own result."""
    r = lab.command([lab.numapin, "launch", *shlex.split(options), "--", *command])
    lines = {}
    for line in r.stdout.splitlines():
        found = RANK.match(line)
        if lab.check(f"launch {options}: a line without its rank: {line!r}", found):
            lines.setdefault(int(found[1]), []).append(found[2])
    seen = {rank: see(subprocess.CompletedProcess([], 0, "\n".join(of_rank), "")) for rank, of_rank in sorted(lines.items())}
    return seen, r


def probes(lab, options, count, mib=4):
    seen, r = launched(lab, "-q " + options, [lab.probe, "show", str(mib)])
    if not lab.expect(f"launch {options}: status", r.returncode, 0) or not lab.expect(f"launch {options}: ranks", list(seen), list(range(count))):
        lab.wrong.append("  stderr: " + "; ".join(r.stderr.splitlines()[:4]))
        return {rank: Seen(0, "", "", cpus="", env={}) for rank in range(count)}
    return seen


def shares_are_right(lab, seen, gpus):
    """Whole cores of the GPU's own node, each core to one rank, as many to each as to the others, give or take one."""
    m = lab.machine
    taken = {}
    for rank, gpu in enumerate(gpus):
        cpus, cores = set(ids(seen[rank].cpus)), cores_of(m, gpu.node)
        what = f"rank {rank} (GPU {gpu.index}, node {gpu.node})"
        lab.check(f"{what}: CPUs {seen[rank].cpus} are not of its node", cpus and cpus <= m.nodes[gpu.node])
        lab.check(f"{what}: CPUs {seen[rank].cpus} split a core", all(not core & cpus or core <= cpus for core in cores))
        lab.check(f"{what}: CPUs {id_list(cpus & set(taken))} are another rank's too", not cpus & set(taken))
        on_node, fair = sum(g.node == gpu.node for g in m.gpus), len(cores)
        size = sum(bool(core & cpus) for core in cores)
        lab.check(f"{what}: {size} cores of {fair} for {on_node} GPUs", size in (fair // on_node, -(-fair // on_node)))
        lab.expect(f"{what}: policy", seen[rank].policy, f"prefer (many):{gpu.node}")
        lab.expect(f"{what}: nodes of its pages", seen[rank].on, str(gpu.node))
        taken.update(dict.fromkeys(cpus, rank))
    return set(taken)


@case("launch --gpus all: disjoint whole cores, memory policy and pages of each rank", on=many_gpus)
def every_gpu(lab):
    m = lab.machine
    seen = probes(lab, "--gpus all", len(m.gpus))
    taken = shares_are_right(lab, seen, m.gpus)
    near_gpus = set().union(*(m.nodes[g.node] for g in m.gpus))
    lab.expect("CPUs of all ranks", id_list(taken), id_list(near_gpus))
    for rank in seen:
        lab.expect(f"rank {rank}: visible GPUs", seen[rank].env.get("CUDA_VISIBLE_DEVICES"), str(rank))
        lab.expect(f"rank {rank}: RANK, LOCAL_RANK", (seen[rank].env.get("RANK"), seen[rank].env.get("LOCAL_RANK")), (str(rank), "0"))


@case("launch --memory bind --gpus 2,1: in the order asked", on=many_gpus)
def some_gpus(lab):
    m = lab.machine
    seen = probes(lab, "--gpus 2,1 --memory bind --visible all", 2)
    for rank, gpu in enumerate((m.gpus[2], m.gpus[1])):
        lab.expect(f"rank {rank}: policy", seen[rank].policy, f"bind:{gpu.node}")
        lab.expect(f"rank {rank}: nodes of its pages", seen[rank].on, str(gpu.node))
        lab.expect(f"rank {rank}: visible GPUs, LOCAL_RANK", (seen[rank].env.get("CUDA_VISIBLE_DEVICES"), seen[rank].env.get("LOCAL_RANK")), ("2,1", str(rank)))


@case("launch --gpus 4: four that are near to each other", on="dual")
def best_connected(lab):
    m = lab.machine
    seen = probes(lab, "--gpus 4", 4)
    gpus = [m.gpus[int(seen[rank].env.get("CUDA_VISIBLE_DEVICES", "0"))] for rank in seen]
    lab.expect("GPUs", len({g.index for g in gpus}), 4)
    lab.expect("their nodes", len({g.node for g in gpus}), 1)
    shares_are_right(lab, seen, gpus)
    why = lab.numapin_out("plan --gpus 4 --explain")
    lab.check(f"--explain does not say why these: {why[:300]!r}", re.search(r"because .*(GPU|link|connected)", why))


@case("launch: a rank that fails ends the others", on=many_gpus)
def failing_rank(lab):
    start = time.monotonic()
    _, r = launched(lab, "-q --gpus all", ["sh", "-c", "[ $RANK = 2 ] && exit 7; exec sleep 300"])
    lab.expect("status", r.returncode, 7)
    lab.check(f"stderr names the rank: {r.stderr!r}", "rank 2 failed first: exit 7" in r.stderr)
    lab.check("took as long as the others would have", time.monotonic() - start < 30)


@case("launch: its summary tells of memory on other nodes", on=many_gpus)
def memory_elsewhere(lab):
    m = lab.machine
    other = next(n for n in sorted(m.cpu_nodes) if n != m.gpus[0].node)
    # `probe hold` holds what it touched until its input ends, which for rank 0 is ours. A look costs much more here than
    # on a machine, and the next one comes late: the first may have been too early.
    argv = [lab.numapin, "launch", "--gpu", "0", "--", lab.probe, "hold", "8", str(other)]
    for seconds in (4, 10, 20):
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lab.expect("the rank's line", p.stdout.readline(), "[0] ready\n")
        time.sleep(seconds)
        _, err = p.communicate("", timeout=60)
        lab.expect("status", p.returncode, 0)
        found = re.search(r"(\d+) MiB of (\d+) MiB", err)
        if found and int(found[1]) >= 8:
            break
    lab.check(f"no memory in the summary: {err!r}", found)
    if found:
        lab.check(f"{found[0]}: 8 MiB are elsewhere", 8 <= int(found[1]) <= 9 and int(found[1]) <= int(found[2]) <= 12)


@case("run --gpu local-rank: ranks that share a squeezed mask say so", on=many_gpus)
def squeezed(lab):
    ranks = " ".join(f"SLURM_LOCALID={r} {lab.numapin} run --gpu local-rank -- sleep 3 &" for r in range(3))
    r = lab.command(["sh", "-c", f"{ranks} sleep 2; SLURM_LOCALID=1 {lab.numapin} run --gpu local-rank -- true; wait"], within="--cpus 0")
    lab.expect("status", r.returncode, 0)
    lab.check(f"says who shares and how to mend it: {r.stderr!r}",
              re.search(r"4 ranks share CPUs 0: .*srun --cpu-bind=none", r.stderr))
