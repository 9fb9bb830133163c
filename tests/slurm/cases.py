"""What is shown of the plugin. Each case is a function of a Test (run); its name is its docstring's first line."""
import os
import re
import time

from cluster import NODES, Cluster, read, remove_cgroups, write
from gres_cases import GRES_CASES

PREFERRED = "prefer (many):0"
N1 = ("-w", NODES[0])
ONE_EACH = (*N1, "-n2", "--gpus-per-task=1", "--cpu-bind=none")
JOBS, STEPS = 20, 10  # a second for each four jobs: slurmctld looks for work once in a second


# ---- where tasks come to be --------------------------------------------------------------------------------------------
def each_task_beside_its_gpu(t):
    """a task a GPU: CPUs and memory of the GPU's node, as the user"""
    r = t.binds(ONE_EACH, [(t.near[0], PREFERRED), (t.near[1], "default")], silent=True)
    t.expect("users", {uid for _, _, uid, _ in t.tasks(r)}, {65534})
    t.expect("CUDA_VISIBLE_DEVICES and SLURM_STEP_GPUS", [gpus for _, _, _, gpus in t.tasks(r)], ["0/0", "1/1"])


def both_gpus(t):
    """a task with both GPUs: both nodes; node 1's memory does not exist here, node 0's does"""
    t.binds((*N1, "-n1", t.all_cpus, "--gpus=2", "--cpu-bind=none"), [(t.all, PREFERRED)])


def no_gpu(t):
    """a task without a GPU stays as Slurm made it"""
    t.binds((*N1, "-n1", t.all_cpus, "--cpu-bind=none", "--numapin=verbose"), [(t.all, "default")], says="no GPU")


def off(t):
    """off: nothing is bound, and it is said"""
    t.binds((*ONE_EACH, "--numapin=off,verbose"), [(t.all, "default")] * 2, says=r"numapin: \d+\.0 task 0: off")


def never_wider(t):
    """a task on the wrong CPUs keeps them: never wider than Slurm's mask"""
    masks = ",".join(hex(sum(1 << int(c) for c in part.split(","))) for part in (t.near[1], t.near[0]))
    args = (*N1, "-n2", "--gpus-per-task=1", f"--cpu-bind=mask_cpu:{masks}")
    t.binds((*args, "--numapin=auto"), [(t.near[1], PREFERRED), (t.near[0], "default")], says="no allowed CPU near GPU 0")
    t.binds((*args, "--numapin=strict"), [], status=1, says="strict: ")


def memory_modes(t):
    """memory=MODE: the kernel's policy"""
    one = (*N1, "-n1", "--gpus-per-task=1", "--gpu-bind=map_gpu:0", "--cpu-bind=none")
    for mode, policy in {"bind": "bind:0", "interleave": "interleave:0", "local": "local", "none": "default", "preferred": PREFERRED}.items():
        t.binds((*one, f"--numapin=memory={mode}"), [(t.near[0], policy)])


def above_mem_bind(t):
    """the plugin has the last word over --mem-bind"""
    t.binds((*N1, "-n1", "--gpus-per-task=1", "--cpu-bind=none", "--mem-bind=local", "--numapin=memory=interleave"), [(t.near[0], "interleave:0")])


def dry_run(t):
    """dry-run says what it would do and does nothing"""
    t.binds((*ONE_EACH, "--numapin=dry-run"), [(t.all, "default")] * 2, says="GPU 0 → node 0: would get CPUs " + re.escape(ranges(t.near[0])))


def verbose(t):
    """verbose: every step of the decision on the user's stderr"""
    t.binds((*ONE_EACH, "--numapin=verbose"), [(t.near[0], PREFERRED), (t.near[1], "default")],
            says=r"CPUs at entry: .*CUDA_VISIBLE_DEVICES=.*GPU 1 → node 1: 1 thread on CPUs " + re.escape(ranges(t.near[1])))


def logged(t):
    """a line for each task in slurmd's log, asked or not"""
    t.srun(*ONE_EACH)
    lines = re.findall(r"numapin: \d+\.0 task \d: GPU \d → node \d", t.cluster.log(NODES[0]))
    t.check(f"two verdicts in the log: {lines}", len(lines) >= 2)


def strict_refused(t):
    """strict: what the kernel refuses ends the task, status 1; the others run"""
    r = t.srun(*ONE_EACH, "--numapin=strict")
    t.expect("status", r.returncode, 1)
    t.check(f"node 1's memory is refused: {r.stderr[:400]!r}", re.search(r"task 1: strict: .*set_mempolicy: Invalid argument", r.stderr))
    t.binds((*N1, "-n1", "--gpus-per-task=1", "--gpu-bind=map_gpu:0", "--cpu-bind=none", "--numapin=strict"), [(t.near[0], PREFERRED)])


def exclusive_shares(t):
    """exclusive: tasks on one mask get disjoint shares; a task with its own CPUs keeps all of them"""
    r = t.srun(*ONE_EACH, "--numapin=exclusive")
    masks = [set(cpus.split(",")) for cpus, _, _, _ in t.tasks(r)]
    t.check(f"disjoint: {masks}", len(masks) == 2 and not masks[0] & masks[1])
    one = (*N1, "-n1", "-c1", "--gpus-per-task=1", "--gpu-bind=map_gpu:0", "--numapin=exclusive,verbose")
    r = t.srun(*one)
    t.check(f"its own: {r.stderr!r}", "this task's alone" in r.stderr)


def gpu_bind_none(t):
    """--gpu-bind=none leaves no variable: all of the node's GPUs"""
    r = t.binds((*ONE_EACH, "--gpu-bind=none", "--numapin=verbose"), [(t.all, PREFERRED)] * 2, says="all 2 GPUs")
    t.expect("CUDA_VISIBLE_DEVICES and SLURM_STEP_GPUS", [gpus for _, _, _, gpus in t.tasks(r)], ["unset/unset"] * 2)


# ---- batch, options, site ------------------------------------------------------------------------------------------------
def batch(t):
    """the batch script gets its GPUs' nodes, a step in it its own; --numapin reaches both"""
    script = f"{t.dir}/job"
    write(script, f"#!/bin/sh\n#SBATCH --numapin=memory=interleave\n{t.dir}/show\nsrun -n1 --cpu-bind=none {t.dir}/show\n")
    out = f"{t.dir}/batch.out"
    write(out, "")
    os.chmod(out, 0o666)
    t.sbatch(*N1, "-n1", "--gpus=1", "-o", out, script)
    rows = re.findall(r"cpus=(\S+) policy=(\S+)", read(out))
    t.expect("script and step", [(t.list(c), p) for c, p in rows], [(t.near[0], "interleave:0")] * 2)


def typo(t):
    """a wrong word is told by srun and sbatch, before anything starts"""
    r = t.srun(*ONE_EACH, "--numapin=l4")
    t.check(f"srun: {r.stderr!r}", r.returncode != 0 and "no such word: l4" in r.stderr and "the words are auto, off" in r.stderr)
    t.expect("tasks", t.tasks(r), [])
    r = t.cluster.command(["sbatch", "--numapin=memory=fast", "--wrap", "true"])
    t.check(f"sbatch: {r.stderr!r}", r.returncode != 0 and "no such word: memory=fast" in r.stderr)


def listed(t):
    """srun and sbatch list the option"""
    for program in "srun", "sbatch":
        t.check(program, "--numapin=WORDS" in t.cluster.command([program, "--help"]).stdout)


def forbidding_site(t):
    """a site that forbids: users' words do not count, but they may listen"""
    t.cluster.plugstack(t.line("memory=bind", "forbid"))
    t.binds((*ONE_EACH, "--numapin=off"), [(t.near[0], "bind:0"), (t.near[1], "default")], says="does not let users choose")
    r = t.binds((*ONE_EACH, "--numapin=verbose"), [(t.near[0], "bind:0"), (t.near[1], "default")], says="GPU 0 → node 0")
    t.check("no complaint about verbose", "does not let" not in r.stderr)


def site_off(t):
    """a site whose default is off: users turn it on"""
    t.cluster.plugstack(t.line("off"))
    t.binds(ONE_EACH, [(t.all, "default")] * 2, silent=True)
    t.binds((*ONE_EACH, "--numapin=node"), [(t.near[0], PREFERRED), (t.near[1], "default")])


# ---- nothing fails a job -------------------------------------------------------------------------------------------------
def no_library(t):
    """without the library the job runs; strict says no"""
    t.cluster.plugstack(t.line().replace(f"library={t.dir}", "library=/nowhere"))
    t.binds(ONE_EACH, [(t.all, "default")] * 2, silent=True)
    t.binds((*ONE_EACH, "--numapin=auto"), [(t.all, "default")] * 2, says="left alone: .*/nowhere")
    t.binds((*ONE_EACH, "--numapin=strict"), [], status=1, says="strict: .*/nowhere")


def wrong_library(t):
    """a file that is no library, and a library that is not ours"""
    for file in "/etc/passwd", "libm.so.6":
        t.cluster.plugstack(t.line() + f" library={file}")
        t.binds((*ONE_EACH, "--numapin=auto"), [(t.all, "default")] * 2, says="left alone: ")


def wrong_machine(t):
    """machine= names nothing, garbage, or a machine without GPUs"""
    write(f"{t.dir}/garbage", "\0\1\2 no machine \xff" * 1000)
    for file in f"{t.dir}/none", f"{t.dir}/garbage":
        t.cluster.plugstack(t.line() + f" machine={file}")
        t.binds((*ONE_EACH, "--numapin=auto"), [(t.all, "default")] * 2, says="left alone: ")


def no_plugin(t):
    """optional: a plugin that is not there costs one line"""
    t.cluster.plugstack("optional /nowhere/spank_numapin.so")
    t.binds((*N1, "-n1", t.all_cpus, "--cpu-bind=none"), [(t.all, "default")])


def wrong_site_words(t):
    """a mistake in plugstack.conf is logged; the rest of the line holds"""
    t.cluster.plugstack(t.line("memory=bind", "membory=x"))
    t.binds((*ONE_EACH, "--numapin=verbose"), [(t.near[0], "bind:0"), (t.near[1], "default")], says="no such argument: membory=x")


def hostile_input(t):
    """long and malformed words and variables: the task runs, slurmstepd lives"""
    before = t.cluster.log(NODES[0])
    for words in "," * 50000, "%s%n%x" * 100, "memory=" + "x" * 60000, "l3" + ",l3" * 20000:
        r = t.srun(*ONE_EACH, f"--numapin={words}")
        t.check(f"{words[:20]}…: {r.returncode} {r.stderr[:200]!r}", r.returncode == (0 if words.startswith("l3") else 255) and "egmentation" not in r.stderr)
        t.check("our lines are short", all(len(line) < 700 for line in r.stderr.splitlines() if ": numapin:" in line))
    for words in ",,,", "l3" * 30000, "%n%n%s", "\udcff":  # as a batch script's steps get it from their environment
        r = t.srun(*ONE_EACH, env={"SLURM_SPANK__SLURM_SPANK_OPTION_numapin_numapin": words})
        t.check(f"from the environment: {r.returncode} {r.stderr[:200]!r}", r.returncode == 1 and "no such word" in r.stderr)
    for value in "9" * 100000, ",".join(["0"] * 30000), "-1", "%n%n", "GPU-????", "MIG-" + "f" * 5000, "0,0,0", "\udcff\udcfe", "=" * 20000:
        for name in "CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_CPU_BIND":
            # set for the task over what Slurm sets: by a plugin before ours in a real site, here by --export
            r = t.srun(*N1, "-n1", "--cpu-bind=none", env={name: value})
            t.check(f"{name}={value[:20]!a}…: {r.returncode} {r.stderr[:200]!r}", r.returncode == 0 and len(t.tasks(r)) == 1)
    log = t.cluster.log(NODES[0])[len(before):]
    t.check("no crash in slurmd's log", not re.search(r"egmentation|internal error|core dump|signal 1?[16]\b", log))


# ---- many --------------------------------------------------------------------------------------------------------------------
def array(t):
    """a job array of 200 steps on four nodes: every task of every step is bound"""
    out = f"{t.dir}/array"
    os.makedirs(out)
    os.chmod(out, 0o777)
    script = f"{t.dir}/array.sh"
    write(script, f"#!/bin/sh\nfor step in $(seq {STEPS}); do srun -n2 --gpus-per-task=1 --cpu-bind=none {t.dir}/show; done\n")
    t.sbatch(f"--array=0-{JOBS - 1}", "-N1", "-n2", "--gpus-per-task=1", "-o", f"{out}/%a", script)
    wrong = {}
    for i in range(JOBS):
        text = read(f"{out}/{i}") if os.path.exists(f"{out}/{i}") else "(no output)"
        rows = sorted(re.findall(r"task (\d) cpus=(\S+) policy=(.*?) uid", text))
        if [(t.list(c), p) for _, c, p in rows] != [(t.near[0], PREFERRED)] * STEPS + [(t.near[1], "default")] * STEPS:
            wrong[i] = text
    t.check(f"{len(wrong)} of {JOBS} are wrong: {dict(list(wrong.items())[:2])}", not wrong)


def many_steps(t):
    """four nodes at once"""
    r = t.srun("-N4", "-n8", "--ntasks-per-node=2", "--gpus-per-task=1", "--cpu-bind=none")
    got = sorted(cpus for cpus, _, _, _ in t.tasks(r))
    t.expect("masks", got, sorted([t.near[0]] * 4 + [t.near[1]] * 4))


# ---- numapin slurm -------------------------------------------------------------------------------------------------------------
def explain_job(t):
    """slurm explain JOBID: CPUs and GPUs by scontrol, in the kernel's numbers"""
    half = t.near[0].count(",") + 1  # CPUs of a node
    holder = t.start(["srun", *N1, "-n1", f"-c{half}", "sh", "-c", "echo up; sleep 30"])
    blocked = None
    try:
        t.check("the first job runs", holder.stdout.readline() == "up\n")
        blocked = t.start(["srun", *N1, "-n1", f"-c{half}", "--gpus=1", "--numapin=off", "sh", "-c", f"echo $SLURM_JOB_ID; {t.dir}/show; sleep 30"])
        job, row = blocked.stdout.readline().strip(), blocked.stdout.readline()
        cpus = re.search(r"cpus=(\S+)", row)[1]
        r = t.explain(job, "--machine", f"{t.dir}/machine", "--node", NODES[0])
        t.expect("status", r.returncode, 1)
        t.check(f"CPUs as the kernel has them ({cpus}): {r.stdout!r}", f"job has CPUs {cpus} (node 1); GPU 0" in flat(r.stdout))
        t.check(f"what is wrong: {r.stdout!r}", "none beside its GPUs" in flat(r.stdout) and "--gres-flags=enforce-binding" in r.stdout)
    finally:
        for p in filter(None, (blocked, holder)):
            p.terminate()
            p.wait()
    r = t.explain("99999")
    t.check(f"no such job: {r.stderr!r}", r.returncode == 1 and "ask scontrol for job 99999" in r.stderr)
    for wrong in "7;reboot", "$(id)", "", "-1":
        t.expect(f"job {wrong!r}", t.explain(wrong).returncode, 2)


def explain_inheritance(t):
    """slurm explain --self in a step: srun did not take --cpus-per-task from sbatch (22.05)"""
    script, out = f"{t.dir}/inherit", f"{t.dir}/inherit.out"
    write(script, f"#!/bin/sh\nsrun -n1 --exact {t.numapin} slurm explain --self\n")
    t.sbatch(*N1, "-n1", t.all_cpus, "-o", out, script, user=None)
    said = flat(read(out))
    t.check(f"says so: {said!r}", "srun does not take --cpus-per-task" in said and f"srun --ntasks-per-node=1 --cpus-per-task={t.all_cpus[2:]}" in said)
    t.expect("outside of a job", t.cluster.command([t.numapin, "slurm", "explain", "--self"]).returncode, 3)


def check_site(t):
    """slurm check of this cluster's own files, by $SLURM_CONF"""
    r = t.cluster.command([t.numapin, "slurm", "check", "--machine", f"{t.dir}/machine", "--node", NODES[0]])
    t.expect("status", r.returncode, 1)
    for words in "no Cores", f"Cores={ranges(t.cores[0])}", "fine TaskPlugin=task/affinity", "SRUN_CPUS_PER_TASK", "fine plugstack.conf loads":
        t.check(f"{words}: {r.stdout!r}", words in flat(r.stdout))


# ---- device cgroups ------------------------------------------------------------------------------------------------------------
def fenced_second_job(t):
    """ConstrainDevices: the second of two jobs sees GPU 0, and has nvidia1"""
    blocker = t.start(["srun", *N1, "-n1", "--gpus=1", "sh", "-c", "echo up; sleep 30"])
    try:
        t.check("the first job runs", blocker.stdout.readline() == "up\n")
        r = t.srun(*N1, "-n1", "--gpus=1", "--cpu-bind=none", "--numapin=verbose,dry-run")
        rows = t.tasks(r)
        t.expect("CUDA_VISIBLE_DEVICES and SLURM_STEP_GPUS", [gpus for _, _, _, gpus in rows], ["0/1"])
        t.check(f"GPU 1: {r.stderr!r}", "the task may open GPU 1" in r.stderr and "GPU 1 → node 1" in r.stderr)
    finally:
        blocker.terminate()
        blocker.wait()


def fenced_per_task(t):
    """ConstrainDevices, a GPU a task: the device files tell them apart, every variable says 0"""
    r = t.binds((*ONE_EACH, "--numapin=verbose"), [(t.near[0], PREFERRED), (t.near[1], "default")], says="GPU 1 → node 1")
    t.expect("CUDA_VISIBLE_DEVICES and SLURM_STEP_GPUS", [gpus for _, _, _, gpus in t.tasks(r)], ["0/0", "0/0"])


def fenced_no_gpu(t):
    """ConstrainDevices, no GPU asked for: none may be opened, nothing is bound"""
    r = t.srun(*N1, "-n1", "--numapin=verbose")
    t.check(f"says so: {r.stderr!r}", r.returncode == 0 and "may open no GPU" in r.stderr)


def training(t):
    """examples/train_ddp.py as it is under srun: two ranks, each bound by its own numapin.bind()"""
    python = "/usr/bin/python3"
    if t.cluster.command([python, "-c", "import torch"]).returncode:
        t.note("not run: no python3-torch here")
        return
    env = {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": f"{t.root}/integrations/python",  # the made-up node names have no address
           "NUMAPIN_LIBRARY": f"{t.dir}/libnumapin.so.0"}
    r = t.srun(*N1, "-n2", "--cpu-bind=none", "--numapin=off", user=0, env=env, command=[
        python, f"{t.root}/examples/train_ddp.py", "--model", "tiny", "--steps", "4", "--warmup", "1", "--batch-size", "8", "--workers", "1"])
    t.expect(f"status {r.stderr[-400:]}", r.returncode, 0)
    t.check(f"throughput of two ranks: {r.stdout}", re.search(r"throughput \d+\.\d samples/s \(2 ranks, tiny", r.stdout))
    for rank in range(2):
        t.check(f"rank {rank} is content: {r.stdout}", re.search(rf"rank {rank} of 2: no GPU: \d+ threads? on CPUs .*; 1 worker on CPUs \S+ \(node 0\): ok", r.stdout))


PLAIN_CASES = [each_task_beside_its_gpu, both_gpus, no_gpu, off, never_wider, memory_modes, above_mem_bind, dry_run, verbose, logged, strict_refused,
               exclusive_shares, gpu_bind_none, batch, typo, listed, forbidding_site, site_off, no_library, wrong_library, wrong_machine, no_plugin,
               wrong_site_words, hostile_input, many_steps, explain_job, explain_inheritance, check_site, array, training]
FENCED_CASES = [fenced_per_task, fenced_second_job, fenced_no_gpu]


def flat(text):
    return " ".join(text.split())


def ranges(text):
    """"0,1,2,8" -> "0-2,8\""""
    runs = []
    for i in map(int, text.split(",")):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def run_cases(t, cases, fenced):
    wanted = [c for c in cases if not t.only or re.search(t.only, c.__doc__)]
    if not wanted:
        return
    t.cluster = Cluster(f"{t.dir}/{'fenced' if fenced else 'plain'}", t.line(), fenced)
    try:
        begin = time.monotonic()
        t.cluster.start()
        print(f"    (four nodes up in {time.monotonic() - begin:.1f} s)")
        for c in wanted:
            t.cluster.plugstack(t.line())
            t.case(c.__doc__.splitlines()[0], lambda c=c: c(t))
    finally:
        t.cluster.stop()


def why_no_fence():
    if not os.path.isdir("/sys/fs/cgroup/devices") or not os.access("/sys/fs/cgroup/devices", os.W_OK):
        return "no writable cgroup v1 hierarchy 'devices' here"
    return None


def run_all(t):
    for c in GRES_CASES:
        t.case(c.__doc__.splitlines()[0], lambda c=c: c(t))
    run_cases(t, PLAIN_CASES, False)
    if why := why_no_fence():
        for c in FENCED_CASES:
            t.skip(c.__doc__, why)
        return
    run_cases(t, FENCED_CASES, True)
    remove_cgroups()
