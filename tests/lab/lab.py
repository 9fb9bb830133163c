"""What a case may use. It runs inside the guest, as root, in one process for all cases of a machine.

    @case("taskset's list form", on="dual")
    def taskset_list(lab):
        lab.binds("--cpu-list 0-3", cpus="0-3", policy="default")

A wrong answer is noted and the case goes on; it has failed if anything was noted. Truth comes from lab.machine (the
description in machines.py), from the kernel, or from other tools: never from numapin.
"""
import contextlib
import inspect
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field

from machines import id_list, ids

COMMAND_LIMIT_S = 60
CASES = []


@dataclass
class Case:
    name: str
    run: object      # run(lab), or run(lab, item) for each item of each(machine)
    on: object       # names of machines, or a function that says whether a machine serves
    each: object
    slow: bool       # not in --quick

    def serves(self, machine, quick):
        on = self.on(machine) if callable(self.on) else machine.name in self.on.split()
        return on and not (quick and self.slow)

    def items(self, machine):
        """(name, arguments) of each run."""
        if not self.each:
            return [(self.name, ())]
        return [(self.name.format(item), (item,)) for item in self.each(machine)]


def case(name, on=lambda machine: True, each=None, slow=False):
    """Marks a function as a case. `on`: machine names or a predicate. `each`: machine -> items, one run for each;
    "{}" in the name is the item."""
    def add(function):
        CASES.append(Case(name, function, on, each, slow))
        return function
    return add


class Skip(Exception):
    pass


@dataclass
class Seen:
    """What a process saw of itself (guest/probe.c), and how it ended."""
    status: int
    out: str
    err: str
    cpus: str = None     # Cpus_allowed_list
    mems: str = None     # Mems_allowed_list
    policy: str = None   # the kernel's words in numa_maps: "bind:0", "prefer (many):0-1", "default"
    pages: dict = field(default_factory=dict)  # node -> touched pages that are there
    env: dict = field(default_factory=dict)

    @property
    def on(self):
        return id_list(self.pages)

    def share(self, node):
        return self.pages.get(node, 0) / max(1, sum(self.pages.values()))


def see(result):
    seen = Seen(result.returncode, result.stdout, result.stderr)
    for line in result.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("cpus", "mems", "policy"):
            setattr(seen, word, rest.strip())
        elif word == "pages":
            seen.pages = {int(n): int(count) for n, count in (p.split(":") for p in rest.split())}
        elif word == "env":
            name, _, value = rest.partition("=")
            seen.env[name] = value
    return seen


class Lab:
    def __init__(self, machine, kernel, numapin, probe, triad, zeroes, quick):
        self.machine, self.kernel, self.numapin, self.probe, self.triad = machine, kernel, numapin, probe, triad
        self.zeroes = zeroes  # a large file
        self.quick = quick
        self.wrong, self.notes = [], []

    # ---- running things ---------------------------------------------------------------------------------------------
    def command(self, argv, within="", env=None, **options):
        """Runs argv, confined as `within` says (options of `probe confined`)."""
        if isinstance(argv, str):
            argv = shlex.split(argv)
        if within:
            argv = [self.probe, "confined", *shlex.split(within), "--", *argv]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=COMMAND_LIMIT_S, env={**os.environ, **(env or {})}, **options)

    def tool(self, argv, **options):
        """The output of another tool, which must succeed."""
        r = self.command(argv, **options)
        if r.returncode:
            raise RuntimeError(f"{argv}: status {r.returncode}: {r.stderr.strip()}")
        return r.stdout

    def run(self, args, mib=1, **options):
        """What a probe sees that `numapin run ARGS` started and that touched `mib` MiB."""
        return see(self.command([self.numapin, "run", *shlex.split(args), "--", self.probe, "show", str(mib)], **options))

    def numapin_out(self, args, **options):
        return self.tool([self.numapin, *shlex.split(args)], **options)

    # ---- judging ----------------------------------------------------------------------------------------------------
    def expect(self, what, got, want):
        if got != want:
            self.wrong.append(f"{what}: got {got!r}, want {want!r}")
        return got == want

    def check(self, what, holds):
        if not holds:
            self.wrong.append(what)
        return bool(holds)

    def binds(self, args, within="", env=None, mib=1, **want):
        """`numapin run ARGS` starts a process that sees what is wanted: status (0 unless given), cpus, mems, on (nodes
        of its pages), policy, env_NAME=value, says="regex that stderr must match"."""
        seen = self.run(args, mib, within=within, env=env)
        what = f"run {args}" + (f" within {within}" if within else "")
        if not self.expect(f"{what}: status", seen.status, want.pop("status", 0)):
            self.wrong.append("  stderr: " + "; ".join(seen.err.splitlines()[:4]))
            return seen
        for name, value in want.items():
            if name == "says":
                self.check(f"{what}: stderr does not match {value!r}: {seen.err.strip()[:400]!r}", re.search(value, seen.err))
            elif name.startswith("env_"):
                self.expect(f"{what}: {name[4:]}", seen.env.get(name[4:]), value)
            else:
                self.expect(f"{what}: {name}", getattr(seen, name), value)
        return seen

    def own_cpus(self):
        """The mask of a process that nobody touched; it may hold offline CPUs."""
        return re.search(r"Cpus_allowed_list:\s+(\S+)", read("/proc/self/status"))[1]

    def note(self, text):
        """A figure to read, shown beside the case's line."""
        self.notes.append(text)

    def skip(self, why):
        raise Skip(why)

    # ---- the guest ---------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def cgroup(self, **files):
        """A cgroup v2 with these files written ("cpuset_cpus" is cpuset.cpus); gives its directory."""
        root = "/sys/fs/cgroup"
        write(f"{root}/cgroup.subtree_control", "+cpuset +memory")
        path = f"{root}/case"
        os.mkdir(path)
        try:
            for name, value in files.items():
                write(f"{path}/{name.replace('_', '.', 1)}", str(value))
            yield path
        finally:
            os.rmdir(path)

    def drop_caches(self):
        write("/proc/sys/vm/drop_caches", "1")

    @contextlib.contextmanager
    def changed(self, path, value):
        """A file of /sys or /proc with another value for a while."""
        before = read(path)
        write(path, value)
        try:
            yield
        finally:
            write(path, before)

    @contextlib.contextmanager
    def holding(self, mib, node=None, within=""):
        """A process that has touched `mib` MiB (bound to `node`) and keeps it; gives its Popen."""
        argv = [self.probe, "hold", str(mib)] + ([str(node)] if node is not None else [])
        if within:
            argv = [self.probe, "confined", *shlex.split(within), "--", *argv]
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if p.stdout.readline() != "ready\n":
                raise RuntimeError(f"{argv}: ended with status {p.wait()}")
            yield p
        finally:
            p.kill()
            p.wait()


def read(path):
    with open(path) as f:
        return f.read().strip()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def node_mib(node, what):
    """MemFree, FilePages ... of a node in MiB."""
    return int(re.search(rf"Node {node} {what}:\s+(\d+) kB", read(f"/sys/devices/system/node/node{node}/meminfo"))[1]) / 1024


__all__ = ["case", "Lab", "Skip", "Seen", "see", "read", "write", "node_mib", "ids", "id_list"]
