"""doctor names what is bound wrong, only that, and its mending commands mend it: the kernel does the binding here."""
import contextlib
import json
import subprocess
import sys

from lab import case, read
from make_room import filled
from rebind import job, nvidia_driver


def found(lab, args="", checks="binding", before="", **options):
    """The checks that found something."""
    r = lab.command(f"{before} {lab.numapin} doctor --json --check {checks} {args}", **options)
    try:
        document = json.loads(r.stdout)
    except ValueError:
        lab.wrong.append(f"doctor {args}: status {r.returncode}: {r.stderr.strip()}")
        return {}
    lab.expect(f"doctor {args}: status", r.returncode, 1 if document["problems"] + document["warnings"] else 0)
    return {c["id"]: c for c in document["checks"] if c["state"] == "found"}


def finds(lab, what, got, want):
    lab.expect(what + " " + "; ".join(c["line"] for c in got.values()), set(got), set(want.split()))


@case("doctor: what a shell was bound to", on="small")
def shell(lab):
    finds(lab, "unbound", found(lab), "")
    finds(lab, "unbound, for GPU 1", found(lab, "--gpu 1"), "")
    for how, gpu, want in (("-N 0 -m 0", 0, ""), ("-N 0", 0, "cpus-only"), ("-p 0", 0, "memory-only"), ("-N 1 -m 1", 0, "gpu-other-node"),
                           ("-N 0 -i all", 0, "interleave-gpu"), ("-C 2,3 -m 0", 0, "memory-only gpu-other-node")):
        finds(lab, f"numactl {how}, GPU {gpu}:", found(lab, f"--gpu {gpu}", before=f"numactl {how}"), want)


@case("doctor: a command before it is started is judged as if it had been", on="small", slow=True)
def dry(lab):
    for command, gpu, want in (("numactl -N 0 -m 0 true", 0, ""), ("numactl -N 0 -m 0 true", 1, "gpu-other-node"), ("numactl -N 1 true", 1, "cpus-only"),
                               ("taskset -c 2-3 true", 1, "cpus-only"), ("taskset c true", 1, "cpus-only"), ("numapin run --gpu 1 -- true", 1, ""),
                               ("numapin run --gpu 1 --memory none -- true", 1, "cpus-only"), ("env A=b numactl -i 0,1 true", 1, "interleave-gpu"),
                               ("docker run --cpuset-cpus=2,3,6,7 --cpuset-mems=1 image", 1, ""), ("docker run --cpuset-cpus=2,3,6,7 image", 1, "cpus-only"),
                               ("docker run --cpuset-cpus=2,3,6,7 --cpuset-mems=0 image", 1, "cpuset-mems"), ("docker run image", 1, "container-cpuset")):
        finds(lab, f"-- {command}, GPU {gpu}:", found(lab, f"--gpu {gpu} -- {command}"), want)
    finds(lab, "--gpus of docker:", found(lab, "-- docker run --gpus device=1 --cpuset-cpus=0,1 --cpuset-mems=0 image"), "gpu-other-node cpuset-mems")


@case("doctor: cpusets and seccomp", on="small")
def confined(lab):
    with lab.cgroup(cpuset_cpus="0-7", cpuset_mems="0") as path:
        finds(lab, "cpuset.mems 0, GPU 1:", found(lab, "--gpu 1", within=f"--cgroup {path}"), "cpuset-mems")
        finds(lab, "cpuset.mems 0, GPU 0:", found(lab, "--gpu 0", within=f"--cgroup {path}"), "")
    with lab.cgroup(cpuset_cpus="0,1", cpuset_mems="0-1") as path:
        got = found(lab, "--gpu 1", checks="binding,no-near-cpu", within=f"--cgroup {path}")
        finds(lab, "cpuset.cpus 0,1, GPU 1:", got, "no-near-cpu gpu-other-node cpus-only")
        finds(lab, "cpuset.cpus 0,1, GPU 0:", found(lab, "--gpu 0", checks="no-near-cpu,gpu-other-node", within=f"--cgroup {path}"), "")
    for refused in "set_mempolicy", "set_mempolicy,get_mempolicy,mbind":
        finds(lab, f"refused {refused}:", found(lab, within=f"--refuse {refused}"), "mempolicy-refused")
    finds(lab, "refused mbind alone:", found(lab, within="--refuse mbind"), "")


@case("doctor: variables that choose GPUs, and OpenMP's", on="small", slow=True)
def variables(lab):
    for env, want in (({"CUDA_VISIBLE_DEVICES": "1"}, ""), ({"CUDA_VISIBLE_DEVICES": ""}, "visible-devices"), ({"CUDA_VISIBLE_DEVICES": "0,7"}, "visible-devices"),
                      ({"CUDA_VISIBLE_DEVICES": "1,0"}, "visible-devices"), ({"CUDA_VISIBLE_DEVICES": "-1"}, ""), ({"GOMP_CPU_AFFINITY": "0-64"}, "openmp"),
                      ({"OMP_NUM_THREADS": "8"}, "smt-as-cores"), ({"OMP_NUM_THREADS": "4"}, ""), ({"OMP_NUM_THREADS": "9"}, "openmp"), ({"OMP_PROC_BIND": "close"}, "openmp")):
        got = found(lab, env=env)
        finds(lab, f"{env}:", got, want)
        for c in got.values():
            lab.expect(f"{env}: {c['id']} severity", c["findings"][0]["severity"], {"1,0": "note", "0-64": "problem"}.get(list(env.values())[0], "warning"))


@case("doctor: a running job, mended by the command it names", on="small")
def mended(lab):
    with nvidia_driver(lab), job("-N 1 -m 1", gpu=0, mib=32) as j:
        before = j.masks()
        got = found(lab, str(j.pid))
        finds(lab, "job of GPU 0 on node 1:", got, "gpu-other-node")
        if not got:
            return
        finding = got["gpu-other-node"]["findings"][0]
        path = {"PATH": lab.numapin.rsplit("/", 1)[0] + ":/usr/bin:/bin:/usr/sbin:/sbin"}
        options = {"env": path, "cwd": "/dev/shm"}
        lab.tool(["sh", "-ec", finding["mend"]], **options)
        lab.expect("masks after the mending command", set(map(frozenset, j.masks().values())), {frozenset(lab.machine.nodes[0])})
        lab.check(f"{j.mib(0)} MiB on node 0", j.mib(0) >= 32)
        finds(lab, "mended, but the policy bind:1 of the job stays:", found(lab, str(j.pid)), "memory-only")
        lab.tool(["sh", "-ec", finding["undo"]], **options)
        lab.expect("masks after undo", j.masks(), before)
    with nvidia_driver(lab), job("-N 0 -m 0", gpu=0, mib=32) as j:
        finds(lab, "job of GPU 0 on node 0:", found(lab, str(j.pid)), "")
    with nvidia_driver(lab), job("-l", gpu=0, mib=1) as j:
        finds(lab, "job that nobody bound:", found(lab, str(j.pid)), "job-unbound")


@case("doctor: strict binding short of memory", on="small")
def short(lab):
    peak = "x = bytearray(b'x') * (400 << 20); del x; print(flush=True); import time; time.sleep(1000)"
    with contextlib.ExitStack() as stack:
        p = stack.enter_context(python("numactl -N 0 -m 0", peak))
        finds(lab, "room enough:", found(lab, str(p.pid)), "")
        stack.enter_context(lab.holding(680, node=0))
        lab.drop_caches()
        finds(lab, "node 0 nearly full:", found(lab, str(p.pid)), "strict-memory")
        q = stack.enter_context(python("numactl -N 0 -p 0", peak))
        finds(lab, "preferred instead:", found(lab, str(q.pid)), "")


@contextlib.contextmanager
def python(before, code):
    p = subprocess.Popen([*before.split(), sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        p.stdout.readline()
        yield p
    finally:
        p.kill()
        p.wait()


@case("doctor: two GPU jobs on the same cores", on="small")
def same_cores(lab):
    core = min(lab.machine.siblings, key=min)
    first, second = sorted(core)
    other = min(lab.machine.nodes[0] - core)
    with nvidia_driver(lab):
        for a, b, want in ((first, first, "shared-cores"), (first, second, "shared-cores"), (first, other, "")):
            with job(f"-C {a}", gpu=0, mib=1), job(f"-C {b}", gpu=1, mib=1):
                finds(lab, f"jobs on CPUs {a} and {b}:", found(lab, checks="shared-cores"), want)
        with job("-N 0", gpu=0, mib=1), job("-N 0", gpu=1, mib=1):
            finds(lab, "jobs that share a whole node:", found(lab, checks="shared-cores"), "")


@case("doctor: kernel settings, mended and taken back by its scripts", on="small")
def settings(lab):
    name = "/proc/sys/kernel/numa_balancing"
    with lab.changed(name, "1"):
        finds(lab, "numa_balancing 1:", found(lab, checks="numa-balancing"), "numa-balancing")
        mend, undo = (lab.command(f"{lab.numapin} doctor --check numa-balancing {o}").stdout for o in ("--script", "--undo-script"))
        lab.tool(["sh", "-ec", mend])
        lab.expect("after --script", read(name), "0")
        finds(lab, "numa_balancing 0:", found(lab, checks="numa-balancing"), "")
        lab.tool(["sh", "-ec", undo])
        lab.expect("after --undo-script", read(name), "1")


@case("doctor: a GPU's node full of page cache", on="small", slow=True)
def page_cache(lab):
    finds(lab, "before:", found(lab, checks="page-cache"), "")
    with filled(lab, 0, 500, 600):
        finds(lab, "node 0 full of cache:", found(lab, checks="page-cache"), "page-cache")


@case("doctor finds nothing in a quiet guest but what the machine is made to show")
def quiet(lab):
    m = lab.machine
    with lab.changed("/proc/sys/kernel/numa_balancing", "0") if len(m.cpu_nodes) > 1 else contextlib.nullcontext():
        got = found(lab, checks="topology,binding,pcie,numa-balancing,zone-reclaim,thp-defrag,page-cache,hugepages,irq-node,iommu")
    want = {"node-without-cpus"} if len(m.cpu_nodes) < len(m.nodes) else set()
    want |= {"offline-cpus"} if m.offline else set()
    want |= {"gpu-node-unknown"} if any(g.node is None for g in m.gpus) and len(m.nodes) > 1 else set()
    want |= {"split-sockets"} if any(len([n for n in m.nodes if n & p]) > 1 for p in m.packages) else set()
    want |= {"nic-pairing"} if m.name == "quad" else set()
    finds(lab, "quiet", got, " ".join(want))
