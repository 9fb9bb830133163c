"""Slurm on this host alone: munged, slurmctld and four slurmds with two fake GPUs each, in namespaces of their own.

Whatever starts in here ends with the process that made the namespaces: also after ^C and after SIGKILL."""
import fcntl
import glob
import os
import re
import socket
import struct
import subprocess
import time

NODES = ["numapin-n1", "numapin-n2", "numapin-n3", "numapin-n4"]
NULL_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
# A major number without a driver: open(2) says ENXIO where a device cgroup lets it pass, EPERM where not.
GPU_MAJOR = 240

SLURM_CONF = """\
ClusterName=numapintest
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=17917
AuthType=auth/munge
AuthInfo=socket={dir}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={dir}/state
SlurmctldPidFile={dir}/slurmctld.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdPidFile={dir}/%n.pid
SlurmdLogFile={dir}/%n.log
SlurmdSpoolDir={dir}/spool.%n
SlurmctldDebug=info
SlurmdDebug=verbose
PlugStackConfig={dir}/plugstack.conf
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=1
SchedulerType=sched/builtin
KillWait=2
GresTypes=gpu
SlurmdParameters=config_overrides
{mode}
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
PLAIN = "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/affinity"
FENCED = "ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup,task/affinity"
# The unified hierarchy without systemd, as in the lab's guest.
CGROUP_V2_CONF = "CgroupAutomount=yes\nCgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\nConstrainRAMSpace=no\nConstrainCores=yes\nConstrainDevices=yes\n"
CGROUP_CONF = "CgroupAutomount=no\nCgroupMountpoint=/sys/fs/cgroup\nCgroupPlugin=cgroup/v1\nConstrainRAMSpace=no\nConstrainCores={0}\nConstrainDevices={0}\n"


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def private_dev(directory):
    """/dev as a tmpfs with the few devices that programs need, and GPUs' files: two of the cluster's, more for slurmd -G."""
    os.makedirs(directory)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "dev", directory], check=True)
    for name, numbers in NULL_DEVICES.items():
        os.mknod(f"{directory}/{name}", 0o20666, os.makedev(*numbers))
        os.chmod(f"{directory}/{name}", 0o666)
    for minor in range(8):
        os.mknod(f"{directory}/nvidia{minor}", 0o20666, os.makedev(GPU_MAJOR, minor))
        os.chmod(f"{directory}/nvidia{minor}", 0o666)
    for name, target in {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(target, f"{directory}/{name}")
    os.makedirs(f"{directory}/shm", mode=0o1777)
    subprocess.run(["mount", "--bind", directory, "/dev"], check=True)


def loopback_up():
    """lo, with a second address: slurmd asks getaddrinfo() for one that is not of 127.0.0.0/8 (AI_ADDRCONFIG)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        address = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("192.0.2.1"))  # RFC 5737: nobody's
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
        fcntl.ioctl(s, 0x8916, address)                              # SIOCSIFADDR


def remove_cgroups():
    """What slurmds of ours left in the v1 hierarchies; the processes in them are gone."""
    for top in glob.glob("/sys/fs/cgroup/*/slurm_numapin-n*"):
        for path, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass


def shape():
    """This machine as slurmd itself describes it."""
    line = subprocess.run(["slurmd", "-C"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return " ".join(re.findall(r"(?:CPUs|Boards|SocketsPerBoard|CoresPerSocket|ThreadsPerCore)=\d+", line)) + " RealMemory=1000"


class Cluster:
    """`node_lines`: "NodeName=N …" without address and port. Four nodes like this host, two fake GPUs each, by default."""

    def __init__(self, directory, plugin_line, fenced=False, node_lines=None, gres=None, limit_s=20, cgroup_conf=None):
        node_lines = node_lines or [f"NodeName={n} {shape()} Gres=gpu:fake:2" for n in NODES]
        gres = gres or "AutoDetect=off\nNodeName=" + ",".join(NODES) + " Name=gpu Type=fake File=/dev/nvidia[0-1]\n"
        self.dir, self.daemons, self.limit_s = directory, {}, limit_s
        self.nodes = [re.match(r"NodeName=(\S+)", line)[1] for line in node_lines]
        for name in ["state", *(f"spool.{n}" for n in self.nodes)]:
            os.makedirs(f"{directory}/{name}", exist_ok=True)
        nodes = "\n".join(f"{line} NodeHostname=localhost NodeAddr=127.0.0.1 Port={17931 + i} State=UNKNOWN" for i, line in enumerate(node_lines))
        write(f"{directory}/slurm.conf", SLURM_CONF.format(dir=directory, mode=FENCED if fenced else PLAIN, nodes=nodes))
        write(f"{directory}/gres.conf", gres)
        write(f"{directory}/cgroup.conf", cgroup_conf or CGROUP_CONF.format("yes" if fenced else "no"))
        self.plugstack(plugin_line)
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_"))},
                    "SLURM_CONF": f"{directory}/slurm.conf", "LC_ALL": "C.UTF-8"}

    def plugstack(self, line):
        write(f"{self.dir}/plugstack.conf", line + "\n")

    def start(self):
        d = self.dir
        if not os.path.exists(f"{d}/munge.key"):
            with open(f"{d}/munge.key", "wb") as key:
                key.write(os.urandom(128))
            os.chmod(f"{d}/munge.key", 0o600)
        self._spawn("munged", ["munged", "--foreground", "--force", f"--socket={d}/munge.socket", f"--key-file={d}/munge.key",
                               f"--pid-file={d}/munged.pid", f"--log-file={d}/munged.log", f"--seed-file={d}/munged.seed"])
        self._until(lambda: os.path.exists(f"{d}/munge.socket"), "munged listens")
        self._spawn("slurmctld", ["slurmctld", "-D", "-c", "-i", "-f", f"{d}/slurm.conf"])
        for n in self.nodes:
            self._spawn(n, ["slurmd", "-D", "-N", n, "-f", f"{d}/slurm.conf"])
        self._until(lambda: self.command(["sinfo", "-h", "-N", "-o", "%t"]).stdout.split() == ["idle"] * len(self.nodes), "all nodes are idle")

    def _spawn(self, name, argv):
        log = open(f"{self.dir}/{name}.out", "w")
        self.daemons[name] = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _until(self, holds, what):
        end = time.monotonic() + self.limit_s
        while not holds():
            dead = [n for n, p in self.daemons.items() if p.poll() is not None]
            if dead or time.monotonic() > end:
                raise RuntimeError(f"never: {what}; ended: {dead}; " + "; ".join(read(f"{self.dir}/{n}.out")[-400:] for n in dead or self.daemons))
            time.sleep(0.05)

    def stop(self):
        for p in self.daemons.values():
            p.terminate()
        for p in self.daemons.values():
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.daemons = {}

    def alive(self):
        return [n for n, p in self.daemons.items() if p.poll() is not None] == []

    def command(self, argv, user=None, **options):
        if user:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        return subprocess.run(argv, env={**self.env, **options.pop("env", {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=60, cwd=self.dir, **options)

    def log(self, node):
        return read(f"{self.dir}/{node}.log")
