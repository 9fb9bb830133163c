"""Slurm in the guest: one slurmd on two nodes with a GPU each. Its files are those of `numapin slurm gres`; where its
tasks run and have their memory, the kernel says."""
import contextlib
import os
import re
import shutil
import subprocess
import sys

from lab import case, id_list, read, see, write

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE + "/../../slurm")
from cluster import CGROUP_V2_CONF, Cluster, GPU_MAJOR, loopback_up  # noqa: E402

DIR = "/run/slurm-test"
NODE = "guest"


@contextlib.contextmanager
def nvidia_files(lab):
    """What NVIDIA's driver would show: device files, and which PCI address has which number."""
    subprocess.run(["mount", "-t", "tmpfs", "driver", "/proc/driver"], check=True)
    try:
        for gpu in lab.machine.gpus:
            os.makedirs(f"/proc/driver/nvidia/gpus/{gpu.address}")
            write(f"/proc/driver/nvidia/gpus/{gpu.address}/information", f"Model: lab\nDevice Minor: {gpu.index}\n")
            os.mknod(f"/dev/nvidia{gpu.index}", 0o20666, os.makedev(GPU_MAJOR, gpu.index))
            os.chmod(f"/dev/nvidia{gpu.index}", 0o666)
        yield
    finally:
        subprocess.run(["umount", "/proc/driver"], check=True)
        for gpu in lab.machine.gpus:
            os.unlink(f"/dev/nvidia{gpu.index}")


@contextlib.contextmanager
def slice_of_systemd():
    """slurmd makes its scope below it, though told to do without systemd."""
    top = "/sys/fs/cgroup/system.slice"
    write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset +cpu +memory +pids")
    os.mkdir(top)
    try:
        yield
    finally:
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


@contextlib.contextmanager
def slurm(lab, **options):
    build = os.path.dirname(lab.numapin)
    needed = [f"{build}/slurm/spank_numapin.so", f"{build}/libnumapin.so.0"]
    missing = [f for f in needed if not os.path.exists(f)] + [p for p in ("munged", "slurmctld", "slurmd", "srun") if not shutil.which(p)]
    if missing:
        lab.skip("not there: " + ", ".join(missing))
    with nvidia_files(lab):
        node, gres = lab.numapin_out(f"slurm gres --node {NODE}").split("# gres.conf\n")
        lines = re.findall(r"^NodeName=.*", node, re.M)
        cluster = Cluster(DIR, f"optional {needed[0]} library={needed[1]}", node_lines=lines, gres=gres, limit_s=50, **options)
        os.chmod(DIR, 0o755)
        loopback_up()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def tasks(lab, cluster, *args, status=0, command=None):
    """What each task saw of itself, by its number; and srun's own words."""
    r = cluster.command(["srun", "--label", *args, *(command or [lab.probe, "show", "8"])])
    lab.expect(f"srun {' '.join(args)}: status ({r.stderr[-600:]})", r.returncode, status)
    seen = {}
    for line in r.stdout.splitlines():
        task, _, rest = line.partition(": ")
        seen.setdefault(int(task), []).append(rest)
    return [see(subprocess.CompletedProcess([], 0, "\n".join(lines), "")) for _, lines in sorted(seen.items())], r.stderr


def beside(lab, seen, policy):
    lab.expect("tasks", len(seen), len(lab.machine.gpus))
    for gpu, task in zip(lab.machine.gpus, seen):
        lab.expect(f"CPUs of task {gpu.index}", task.cpus, id_list(lab.machine.nodes[gpu.node]))
        lab.expect(f"policy of task {gpu.index}", task.policy, policy.format(gpu.node))
        lab.expect(f"pages of task {gpu.index}", task.on, str(gpu.node))


@case("slurm: a task a GPU, on the GPU's node with CPUs, policy and pages", on="small")
def task_a_gpu(lab):
    # All CPUs of the node: --cpu-bind=none leaves the job's, no more.
    each = (f"-n{len(lab.machine.gpus)}", f"-c{len(lab.machine.online) // len(lab.machine.gpus)}", "--gpus-per-task=1")
    with slurm(lab) as cluster:
        beside(lab, tasks(lab, cluster, *each, "--cpu-bind=none")[0], "prefer (many):{}")
        beside(lab, tasks(lab, cluster, *each, "--cpu-bind=none", "--numapin=memory=bind,strict")[0], "bind:{}")
        plain, _ = tasks(lab, cluster, *each, "--cpu-bind=none", "--numapin=off")
        lab.expect("off", {t.policy for t in plain}, {"default"})
        wrong_cpus(lab, cluster, each)
        gres_picks(lab, cluster)


def wrong_cpus(lab, cluster, each):
    """A task that Slurm put on the other node: left there, told, and put right by the line that explain gives."""
    first, second = (sum(1 << cpu for cpu in lab.machine.nodes[gpu.node]) for gpu in lab.machine.gpus)
    bind = f"--cpu-bind=mask_cpu:{second:#x},{first:#x}"
    seen, said = tasks(lab, cluster, *each, bind, "--numapin=node,verbose")
    lab.expect("left where they were", [t.cpus for t in seen], [id_list(lab.machine.nodes[g.node]) for g in reversed(lab.machine.gpus)])
    lab.check(f"and told: {said[-800:]}", "no allowed CPU near GPU 0" in said)
    r = cluster.command(["srun", *each, bind, "--numapin=off", "sh", "-c",
                         f"[ $SLURM_LOCALID = 1 ] || {lab.numapin} slurm explain --self; true"], env={"COLUMNS": "120"})
    line = re.search(r"instead +srun (.*) numapin run -- COMMAND", r.stdout)
    if not lab.check(f"explain names the node and the line: {r.stdout} {r.stderr}", line and f"node {lab.machine.gpus[0].node}" in r.stdout):
        return
    put_right, _ = tasks(lab, cluster, "--gpus-per-task=1", "--numapin=off", *line[1].split(), command=[lab.numapin, "run", "--", lab.probe, "show", "8"])
    beside(lab, put_right, "prefer (many):{}")


def gres_picks(lab, cluster):
    """The Cores= of `slurm gres` are right: with them alone Slurm takes cores beside the GPU, whichever it is."""
    half = len(lab.machine.siblings) // len(lab.machine.gpus)
    holder = subprocess.Popen(["srun", "-n1", "-c2", "--gpus=1", "--gres-flags=enforce-binding", "--numapin=off", "sh", "-c", "echo up; read x"], env=cluster.env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        lab.expect("the first job", holder.stdout.readline(), "up\n")
        seen, said = tasks(lab, cluster, "-n1", f"-c{2 * half}", "--gpus=1", "--gres-flags=enforce-binding", "--numapin=off")
        lab.expect(f"the second job has GPU 1 and its node's cores ({said})", [t.cpus for t in seen], [id_list(lab.machine.nodes[lab.machine.gpus[1].node])])
    finally:
        holder.kill()
        holder.wait()


@case("slurm: device cgroups of version 2 (BPF): the files tell tasks' GPUs apart, the variables do not", on="small", slow=True)
def fenced(lab):
    each = (f"-n{len(lab.machine.gpus)}", f"-c{len(lab.machine.online) // len(lab.machine.gpus)}", "--gpus-per-task=1", "--cpu-bind=none")
    with slice_of_systemd(), slurm(lab, fenced=True, cgroup_conf=CGROUP_V2_CONF) as cluster:
        seen, said = tasks(lab, cluster, *each, "--numapin=verbose")
        beside(lab, seen, "prefer (many):{}")
        lab.check(f"by the files: {said[-1500:]}", all(f"the task may open GPU {gpu.index}" in said for gpu in lab.machine.gpus))
        variables = cluster.command(["srun", *each, "--numapin=off", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES/$SLURM_STEP_GPUS"]).stdout.split()
        lab.expect("CUDA_VISIBLE_DEVICES/SLURM_STEP_GPUS", variables, ["0/0"] * len(lab.machine.gpus))
        one, said = tasks(lab, cluster, "-n1", "-c2", "--numapin=verbose")
        # 22.05.8 fences no job without GPUs off from them here, as it does with version 1: no variable tells of one.
        lab.check(f"a task without a GPU: {said[-400:]}", "Slurm gave this task no GPU" in said)
        lab.expect("and stays as it is", [t.policy for t in one], ["default"])
