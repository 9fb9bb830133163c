"""A running job on the wrong node: inspect names what is wrong, rebind moves it home, the kernel's files prove it."""
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time

from lab import case, ids, read, write

STATE = "/dev/shm/rebind.json"
MIB = 64
# argv: GPU minor or "-", MiB, CPUs of each thread ("-": as the process), "fork": a child that shares the memory
JOB = """
import os, sys, threading, time
gpu, mib, masks, fork = sys.argv[1:5]
if gpu != "-": os.open("/dev/nvidia" + gpu, os.O_PATH)
memory = bytearray(b"x") * (int(mib) << 20)
def work(mask):
    if mask != "-": os.sched_setaffinity(0, {int(mask)})
    up.release()
    time.sleep(1000)
up = threading.Semaphore(0)
masks = masks.split("/")
for mask in masks: threading.Thread(target=work, args=(mask,), daemon=True).start()
for mask in masks: up.acquire()
child = os.fork() if fork == "fork" else None
if child == 0: time.sleep(1000)
print(child or 0, flush=True)
time.sleep(1000)
"""


class Job:
    def __init__(self, process, child):
        self.process, self.pid, self.child = process, process.pid, child

    def masks(self, pid=None):
        """thread -> its CPUs"""
        found = {}
        for tid in os.listdir(f"/proc/{pid or self.pid}/task"):
            found[int(tid)] = ids(re.search(r"Cpus_allowed_list:\s+(\S+)", read(f"/proc/{pid or self.pid}/task/{tid}/status"))[1])
        return found

    def mib(self, node):
        """Anonymous memory on a node."""
        pages = 0
        for line in read(f"/proc/{self.pid}/numa_maps").splitlines():
            on = re.search(rf" N{node}=(\d+)", line)
            if on and "file=" not in line:
                pages += int(on[1])
        return pages * 4096 / 2**20


@contextlib.contextmanager
def job(numactl, gpu="-", mib=MIB, masks="-/-", fork="-", within=()):
    process = subprocess.Popen(["numactl", *numactl.split(), *within, sys.executable, "-c", JOB, str(gpu), str(mib), masks, fork],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    child = None
    try:
        child = int(process.stdout.readline())
        yield Job(process, child)
    finally:
        for pid in filter(None, [child, process.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.remove(STATE)


@contextlib.contextmanager
def nvidia_driver(lab):
    """What NVIDIA's driver shows of its GPUs, without one: files under /proc/driver, device files."""
    lab.tool("mount -t tmpfs driver /proc/driver")
    try:
        for gpu in lab.machine.gpus:
            path = f"/proc/driver/nvidia/gpus/{gpu.address}"
            os.makedirs(path)
            write(f"{path}/information", f"Model: \t\t NVIDIA H100\nDevice Minor: \t {gpu.index}\n")
            if not os.path.exists(f"/dev/nvidia{gpu.index}"):
                os.mknod(f"/dev/nvidia{gpu.index}", 0o020666, os.makedev(195, gpu.index))
        yield
    finally:
        lab.tool("umount /proc/driver")
        for gpu in lab.machine.gpus:
            os.remove(f"/dev/nvidia{gpu.index}")


def rebind(lab, j, options="", status=0):
    r = lab.command(f"{lab.numapin} rebind {j.pid} --state {STATE} {options}")
    lab.expect(f"rebind {options}: status ({r.stdout.strip()} {r.stderr.strip()})", r.returncode, status)
    return r


def inspect(lab, j):
    return lab.command(f"{lab.numapin} inspect {j.pid}").stdout


@case("rebind moves threads, child and memory home, --undo restores the masks", on="small")
def home(lab):
    here, there = lab.machine.nodes[0], lab.machine.nodes[1]
    pinned = min(there)
    with nvidia_driver(lab), job("-N 1", gpu=0, masks=f"-/{pinned}", fork="fork") as j:
        before, child_before = j.masks(), j.masks(j.child)
        lab.expect("masks before", set(map(frozenset, before.values())), {frozenset(there), frozenset({pinned})})
        lab.check(f"memory before: {j.mib(1)} MiB on node 1", j.mib(1) >= MIB)
        dry = rebind(lab, j, "--dry-run")
        lab.expect("masks after --dry-run", j.masks(), before)
        lab.check(f"--dry-run says what: {dry.stdout}", "would move" in dry.stdout and "from node 1 to node 0" in dry.stdout)
        r = rebind(lab, j)
        after = j.masks()
        for tid, mask in after.items():
            if before[tid] == {pinned}:
                lab.check(f"the pinned thread has one CPU of node 0: {mask}", len(mask) == 1 and mask <= here)
            else:
                lab.expect(f"mask of thread {tid}", mask, here)
        lab.expect("masks of the child", set(map(frozenset, j.masks(j.child).values())), {frozenset(here)})
        lab.check(f"memory after: {j.mib(0)} MiB on node 0", j.mib(0) >= MIB)
        lab.check(f"memory after: {j.mib(1)} MiB on node 1", j.mib(1) < 2)
        lab.check(f"it says what moved: {r.stdout}", re.search(r"\d+ MiB moved to node 0 at [\d.e-]+ GB/s", r.stdout))
        lab.check(f"inspect is content: {inspect(lab, j)}", "ok: cpus and memory on node 0" in inspect(lab, j))
        lab.tool(f"{lab.numapin} rebind --undo {STATE}")
        lab.expect("masks after --undo", (j.masks(), j.masks(j.child)), (before, child_before))
        lab.check("--undo leaves memory", j.mib(0) >= MIB)


@case("rebind --all-gpu: each process to its own GPU", on="small")
def all_gpu(lab):
    with nvidia_driver(lab), job("-N 1", gpu=0, mib=16) as a, job("-N 0", gpu=1, mib=16) as b, job("-N 1", mib=16) as c:
        c_before = c.masks()
        r = lab.command(f"{lab.numapin} rebind --all-gpu --state {STATE}")
        lab.expect(f"status {r.stderr}", r.returncode, 0)
        lab.expect("who uses GPU 0", set(map(frozenset, a.masks().values())), {frozenset(lab.machine.nodes[0])})
        lab.expect("who uses GPU 1", set(map(frozenset, b.masks().values())), {frozenset(lab.machine.nodes[1])})
        lab.check(f"memory: {a.mib(0)} and {b.mib(1)} MiB", a.mib(0) >= 16 and b.mib(1) >= 16)
        lab.expect("who uses none", c.masks(), c_before)


@case("rebind to a place named by hand", on="small")
def by_hand(lab):
    with job("-N 1", mib=16) as j:
        r = rebind(lab, j, status=1)
        lab.check(f"no GPU, no place: {r.stderr}", "--node N" in r.stderr)
        rebind(lab, j, "--node 0 --cpus-only")
        lab.expect("--cpus-only: masks", set(map(frozenset, j.masks().values())), {frozenset(lab.machine.nodes[0])})
        lab.check(f"--cpus-only: memory {j.mib(1)} MiB on node 1", j.mib(1) >= 16)
        os.remove(STATE)
        rebind(lab, j, "--cpu-list 2,6")
        said = lab.tool(f"taskset -acp {j.pid}")
        lab.expect("taskset -acp", set(re.findall(r"list: (\S+)", said)), {"2,6"})
        os.remove(STATE)
        rebind(lab, j, "--gpu 0")
        lab.expect("--gpu 0: masks", set(map(frozenset, j.masks().values())), {frozenset(lab.machine.nodes[0])})
        lab.check(f"--gpu 0: memory {j.mib(0)} MiB on node 0", j.mib(0) >= 16)


@case("rebind says that a policy pulls elsewhere", on="small")
def policy(lab):
    with job("-N 1 -m 1", mib=16) as j:
        r = rebind(lab, j, "--node 0")
        lab.check(f"it says so: {r.stderr}", "memory policy bind:1" in r.stderr)
        lab.check(f"memory moved all the same: {j.mib(0)} MiB on node 0", j.mib(0) >= 16)


@case("rebind without rights says what stayed, and why", on="small")
def shared(lab):
    # pages that a child shares may be moved by root only
    with job("-N 1", mib=32, fork="fork", within=[lab.probe, "confined", "--uid", "1000", "--"]) as j:
        r = lab.command(f"{lab.numapin} rebind {j.pid} --node 0 --state {STATE}", within="--uid 1000")
        lab.expect(f"status {r.stdout} {r.stderr}", r.returncode, 1)
        lab.check(f"memory stayed: {j.mib(1)} MiB on node 1", j.mib(1) >= 32)
        lab.check(f"it says so: {r.stdout}", re.search(r"MiB stayed: shared \d+ MiB", r.stdout))
        lab.expect("masks moved", set(map(frozenset, j.masks().values())), {frozenset(lab.machine.nodes[0])})
    with job("-N 1", mib=16) as j:
        before = j.masks()
        r = lab.command(f"{lab.numapin} rebind {j.pid} --node 0 --state {STATE}", within="--uid 1000")
        lab.expect("another user's process: status", r.returncode, 1)
        lab.check(f"another user's process: {r.stderr}", "Operation not permitted" in r.stderr and "hint:" in r.stderr)
        lab.expect("another user's process: masks", j.masks(), before)


@case("inspect names what is wrong, and only that", on="small")
def verdicts(lab):
    there = min(lab.machine.nodes[1])
    with nvidia_driver(lab):
        for how, masks, says in (("-N 0 -m 0", "-/-", r"ok: cpus and memory on node 0"),
                                 ("-N 1 -m 0", "-/-", r"cpus on node 1, GPU 0 on node 0"),
                                 ("-N 0 -m 1", "-/-", r"\d+ % of \d+ MiB on node 1"),
                                 ("-N 1 -m 1", "-/-", r"cpus on node 1, GPU 0 on node 0; \d+ % of \d+ MiB on node 1"),
                                 ("-N 0 -m 0", f"-/{there}", r"1 of 3 threads may run off node 0"),
                                 ("-m 0", "-/-", r"allowed everywhere: free to migrate"),
                                 ("-N 0 -i 0,1", "-/-", r"\d+ % of \d+ MiB on node 1")):
            with job(how, gpu=0, masks=masks) as j:
                said = inspect(lab, j)
                lab.check(f"numactl {how}, threads {masks}: {said!r} does not match {says!r}", re.search(says, said))
                lab.expect(f"numactl {how}: it is ok", "ok:" in said, says.startswith("ok"))


@case("inspect --sample: the true share lies within its bounds", on="small", slow=True)
def sample(lab):
    """Bounds that hold in 97.5 of 100 samples miss 7 of 50 in 3 of 10,000 runs of this case."""
    samples, within = 50, 0
    with job("-N 0 -i 0,1", mib=128) as j:
        truth = j.mib(1) / (j.mib(0) + j.mib(1))
        lab.check(f"{truth:.3f} of its memory are on node 1", 0.4 < truth < 0.6)
        for _ in range(samples):
            process = json.loads(lab.command(f"{lab.numapin} inspect --sample --json {j.pid}").stdout)["processes"][0]
            bounds = process["memory"]["sample_shares"]["1"]
            within += bounds["low"] <= truth <= bounds["high"]
    lab.check(f"{within} of {samples}, the last {bounds}", within >= 44)
    lab.note(f"{within} of {samples}, the last {bounds['low']:.3f} to {bounds['high']:.3f}, in truth {truth:.3f}")


@case("rebind of another user's process: CAP_SYS_NICE moves threads, CAP_SYS_PTRACE memory", on="small")
def capabilities(lab):
    with job("-N 1", mib=16) as j:
        for caps, home in (("sys_nice", False), ("sys_ptrace", True)):
            r = lab.command(f"setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all,+{caps} --ambient-caps=+{caps} "
                            f"{lab.numapin} rebind {j.pid} --node 0 --state {STATE}-{caps}")
            lab.check(f"{caps}: status {r.returncode} {r.stdout} {r.stderr}", r.returncode in (0, 1))
            lab.expect(f"{caps}: masks", set(map(frozenset, j.masks().values())), {frozenset(lab.machine.nodes[0])})
            lab.check(f"{caps}: it says that memory cannot be seen: {r.stderr}", home or "cannot be seen and stays" in r.stderr)
            lab.check(f"{caps}: memory {j.mib(0)} MiB on node 0: {r.stdout} {r.stderr}", (j.mib(0) >= 16) == home)


WRONG = {  # name -> numactl's options, CPUs of the threads, a child with CPUs of its own?
    "CPUs of the other node": ("-N 1 -m 0", "-/-", False),
    "memory on the other node": ("-N 0 -m 1", "-/-", False),
    "one stray thread": ("-N 0 -m 0", "-/THERE", False),
    "strict bind to the other node": ("-N 1 -m 1", "-/-", False),
    "interleaved": ("-N 0 -i 0,1", "-/-", False),
    "worker outside": ("-N 0 -m 0", "-/-", True),
}


@case("rebind mends each wrong binding, --undo restores its masks", on="small")
def each_wrong_one(lab):
    here, there = lab.machine.nodes[0], lab.machine.nodes[1]
    with nvidia_driver(lab):
        for name, (how, masks, worker) in WRONG.items():
            with job(how, gpu=0, masks=masks.replace("THERE", str(min(there))), fork="fork" if worker else "-") as j:
                pids = [j.pid, j.child] if worker else [j.pid]
                if worker:
                    os.sched_setaffinity(j.child, there)
                before = [j.masks(pid) for pid in pids]
                lab.check(f"{name}: inspect does not call it ok: {inspect(lab, j)}", len(re.findall("ok: cpus and", inspect(lab, j))) < len(pids))
                rebind(lab, j)
                for pid in pids:
                    for tid, mask in j.masks(pid).items():
                        lab.check(f"{name}: thread {tid} runs on node 0: {mask}", mask and mask <= here)
                lab.check(f"{name}: memory {j.mib(0)} MiB on node 0, {j.mib(1)} on node 1", j.mib(0) >= MIB and j.mib(1) < 2)
                lab.check(f"{name}: inspect is content: {inspect(lab, j)}", "ok: cpus and memory on node 0" in inspect(lab, j))
                if os.path.exists(STATE):
                    lab.tool(f"{lab.numapin} rebind --undo {STATE}")
                lab.expect(f"{name}: masks after --undo", [j.masks(pid) for pid in pids], before)


@case("rebind moves pages as fast as migratepages", on="small", slow=True)
def rate(lab):
    """The same process, in turn; the time of the whole command, and of what the kernel does in it."""
    whole, kernel = {"numapin": [], "migratepages": []}, []
    with job("-N 0 -m 0", mib=256) as j:
        for turn in range(10):
            here, there = turn % 2, 1 - turn % 2
            who = "numapin" if turn // 2 % 2 else "migratepages"
            began = time.monotonic()
            if who == "numapin":
                said = lab.tool(f"{lab.numapin} rebind {j.pid} --no-children --node {there} --json --force --state {STATE}")
                kernel.append(json.loads(said)["processes"][0]["memory"]["seconds"])
            else:
                lab.tool(f"migratepages {j.pid} {here} {there}")
            whole[who].append(time.monotonic() - began)
            lab.check(f"{who}: {j.mib(there)} MiB on node {there}", j.mib(there) >= 256)
    other = statistics.median(whole["migratepages"])
    lab.note(f"256 MiB: migratepages {other:.2f} s, rebind {statistics.median(whole['numapin']):.2f} s of which migrate_pages(2) {statistics.median(kernel):.2f} s")
