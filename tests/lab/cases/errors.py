"""Bad input: one clear line, the right exit status, nothing started."""
import contextlib
import os
import re
import time

from lab import case, write


@case("unknown GPUs, malformed lists, absent CPUs and nodes")
def bad_input(lab):
    gpus, cpus = len(lab.machine.gpus), len(lab.machine.cpu_number)
    for options, status, says in (
            (f"--gpu {gpus}", "1 2", f"GPU {gpus}|{gpus}"), ("--gpu GPU-ffffffff", "1 2", "GPU-ffffffff"),
            ("--gpu 0000:77:00.0", "1 2", "0000:77:00.0"), ("-C 0-", "2", "(?i)column"), ("-C 3-1", "2", "(?i)column|backward"),
            (f"-C {cpus}", "1 2", str(cpus)), ("-N 63", "1 2", "63"), ("-m 63", "1 2", "63"), ("--cpus near", "2", "near"),
            ("--memory often", "2", "often"), ("--make-room lots", "2", "lots")):
        r = lab.command([lab.numapin, "run", *options.split(), "--", "echo", "started"])
        lab.check(f"run {options}: status {r.returncode}, want {status}", str(r.returncode) in status.split())
        lab.expect(f"run {options}: stdout", r.stdout, "")
        lab.check(f"run {options}: stderr {r.stderr!r} does not match {says!r}", re.search(says, r.stderr))


@case("an offline CPU", on="offline")
def offline(lab):
    for options in "-C 3", "--cpu-list 3", "-C 14-15":
        lab.binds(options, status=2, says="(?i)offline")


@case("exit status of the program; 126 and 127 where there is none")
def statuses(lab):
    for argv, status in ((["/bin/sh", "-c", "exit 7"], 7), (["/bin/sh", "-c", "kill -9 $$"], -9),
                         (["/no/such/program"], 127), (["no-such-program"], 127), (["/etc/passwd"], 126), (["/tmp"], 126)):
        r = lab.command([lab.numapin, "run", "--gpu", "0", "--", *argv])
        lab.expect(f"run -- {argv[-1]}: status", r.returncode, status)
        if status in (126, 127):
            lab.check(f"run -- {argv[-1]}: stderr names it: {r.stderr!r}", argv[-1] in r.stderr)


@contextlib.contextmanager
def unplugged(gpu):
    write(f"/sys/bus/pci/devices/{gpu.address}/remove", "1")
    try:
        yield
    finally:
        write("/sys/bus/pci/rescan", "1")
        time.sleep(0.3)


@case("a GPU that vanished", on="small switch")
def vanished(lab):
    gpu, before = lab.machine.gpus[-1], lab.machine.gpus[0]
    with unplugged(gpu):
        lab.binds(f"--gpu {gpu.address}", status=1, says=gpu.address)
        lab.binds(f"--gpu {before.address}", on=str(before.node))
    lab.binds(f"--gpu {gpu.address}", on=str(gpu.node))


@case("the kernel's numa_node is followed; where it says nothing, the bridge above", on="small dual")
def overridden(lab):
    gpu = lab.machine.gpus[0]
    path = f"/sys/bus/pci/devices/{gpu.address}/numa_node"
    with lab.changed(path, "1"):
        lab.binds("--gpu 0", on="1")
    with lab.changed(path, "-1"):
        lab.binds("--gpu 0", on="0")


@case("--verify reads back; --dry-run starts nothing; --quiet says nothing")
def verify(lab):
    gpu = lab.machine.gpus[-1]
    seen = lab.binds(f"--gpu {gpu.index} --verify", on=str(gpu.node), says="(?i)verified")
    r = lab.command([lab.numapin, "run", "--gpu", "0", "--dry-run", "--", "touch", "/run/started"])
    lab.expect("--dry-run: status", r.returncode, 0)
    lab.check("--dry-run starts nothing", not os.path.exists("/run/started"))
    seen = lab.run(f"--gpu {gpu.index} --quiet")
    lab.expect("--quiet: stderr", seen.err, "")
