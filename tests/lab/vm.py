"""A guest: QEMU under software emulation, restored from a snapshot, runs one command and streams its output.

The guest sees the host's root file system through 9p with a tmpfs above: any program of the host runs unchanged, every
path is writable, nothing reaches the host. Why each option is as it is: docs/lab.md.
"""
import ctypes
import glob
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from image import CACHE, LabError, compiled, digest, disk, initramfs, kernel_dir, locked
from machines import qemu_options

QEMU = "qemu-system-x86_64"
COMMAND_LINE = ("console=ttyS0 loglevel=4 nokaslr mitigations=off tsc=reliable no_timer_check lpj=4000000 nowatchdog "
                "panic=-1 oops=panic audit=0 apparmor=0 selinux=0 random.trust_cpu=on cryptomgr.notests "
                "clearcpuid=rep_good 8250.nr_uarts=1 pcie_aspm=off rodata=off rcupdate.rcu_expedited=1")
BOOT_LIMIT_S = 180
CHANNELS = ("control", "out", "err")  # virtio ports 1, 2, 3: guest/init, init2


def guest_options(m, kernel):
    offline = ",".join(map(str, m.offline))
    return ["-accel", "tcg,thread=single,tb-size=256",  # thread=multi kills a booting kernel now and then
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", kernel_dir(kernel) + "/vmlinux", "-initrd", initramfs(kernel, m),
            "-append", f"{COMMAND_LINE} {m.cmdline} lab.offline={offline}"] + qemu_options(m, disk())


def host_options(fds, console):
    a = ["-chardev", f"file,id=console,path={console}", "-serial", "chardev:console",
         "-device", "virtio-serial-pci,id=vs,bus=pcie.0,addr=1c.0,max_ports=8",
         "-chardev", f"socket,id=qmp,fd={fds['qmp']}", "-mon", "chardev=qmp,mode=control",
         "-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap,readonly=on",
         "-device", "virtio-9p-pci,bus=pcie.0,addr=1d.0,fsdev=root,mount_tag=root"]
    for number, name in enumerate(CHANNELS, 1):
        a += ["-chardev", f"socket,id={name},fd={fds[name]}",
              "-device", f"virtserialport,bus=vs.0,nr={number},chardev={name},name=lab.{name}"]
    return a


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Guest:
    """A QEMU process; leaving the context ends it."""

    def __init__(self, m, kernel, snapshot=None):
        self.dir = tempfile.TemporaryDirectory(prefix="numapin-lab.")
        self.console = self.dir.name + "/console"
        pairs = {c: socket.socketpair() for c in (*CHANNELS, "qmp")}
        self.sockets = {c: ours for c, (ours, _) in pairs.items()}
        fds = {c: theirs.fileno() for c, (_, theirs) in pairs.items()}
        command = [QEMU, *guest_options(m, kernel), *host_options(fds, self.console)]
        if snapshot:
            command += ["-incoming", "exec:cat " + shlex.quote(snapshot)]
        with open(self.console + ".qemu", "w") as messages:
            self.process = subprocess.Popen(command, pass_fds=list(fds.values()), preexec_fn=die_with_parent,
                                            env=dict(os.environ, LD_PRELOAD=plugin()),
                                            stdin=subprocess.DEVNULL, stdout=messages, stderr=messages)
        for _, theirs in pairs.values():
            theirs.close()
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for s in self.sockets.values():
            s.close()
        self.dir.cleanup()

    def last_words(self):
        """The end of what QEMU and the kernel said."""
        said = ""
        for f in self.console + ".qemu", self.console:
            if os.path.exists(f):
                said += open(f, errors="replace").read()[-1500:]
        return said.strip() or "QEMU left no message"

    def control_line(self, deadline):
        """The next line on the control channel, as words."""
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.sockets["control"]], [], [], max(0, deadline - time.time()))
            got = self.sockets["control"].recv(4096) if ready else b""
            if not got:
                raise LabError(f"the guest {'died' if ready else 'was not ready in time'}\n{self.last_words()}")
            self.unread += got
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace").split()

    def monitor(self, command, **arguments):
        """QEMU's QMP."""
        if not hasattr(self, "qmp"):
            self.sockets["qmp"].settimeout(120)
            self.qmp = self.sockets["qmp"].makefile("rwb")
            self.qmp.readline()  # the greeting
            self.monitor("qmp_capabilities")
        self.qmp.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.qmp.flush()
        while True:
            line = self.qmp.readline()
            if not line:
                raise LabError("QEMU died\n" + self.last_words())
            answer = json.loads(line)
            if "error" in answer:
                raise LabError(f"QMP {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


# ---- snapshots -------------------------------------------------------------------------------------------------------
def plugin():
    return compiled("labpci.c", "-shared", "-fPIC")


def snapshot_path(m, kernel):
    qemu = os.stat(shutil.which(QEMU))
    fds = dict.fromkeys((*CHANNELS, "qmp"), 0)
    key = digest(guest_options(m, kernel), host_options(fds, ""), plugin(), qemu.st_size, int(qemu.st_mtime))
    return os.path.join(CACHE, f"snapshot-{m.name}-{kernel}-{key}")


def ensure_snapshot(m, kernel):
    """The machine, booted, waiting for its command; any change of kernel, options, init or QEMU makes a new one."""
    path = snapshot_path(m, kernel)
    with locked(f"snapshot-{m.name}-{kernel}"):
        if not os.path.exists(path):
            for old in glob.glob(os.path.join(CACHE, f"snapshot-{m.name}-{kernel}-*")):
                os.unlink(old)
            for attempt in 1, 2, 3:
                try:
                    make_snapshot(m, kernel, path)
                    break
                except LabError:
                    if attempt == 3:
                        raise
    return path


def make_snapshot(m, kernel, path):
    with Guest(m, kernel) as g:
        words = g.control_line(time.time() + BOOT_LIMIT_S)
        if words[:1] != ["READY"]:
            raise LabError("guest: " + " ".join(words))
        # Saved while it runs: after QMP's `stop` the copy would come up paused
        g.monitor("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        g.monitor("migrate", uri=f"exec:cat > {shlex.quote(path)}.new")
        while (status := g.monitor("query-migrate").get("status")) not in ("completed", "failed", "cancelled"):
            time.sleep(0.05)
        if status != "completed":
            raise LabError(f"snapshot of {m.name}: {status}")
        g.monitor("quit")
        g.process.wait()
    os.rename(path + ".new", path)


# ---- one command -----------------------------------------------------------------------------------------------------
def run_command(m, kernel, argv, on_output, limit_s, env={}):
    """Runs argv as root in the guest. on_output(channel "out" or "err", bytes) gets its output as it comes.

    Returns its exit status; LabError when the guest died or time was up."""
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root",
                 "LANG": "C.UTF-8", "TERM": "dumb", **env}
    job = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in variables.items())
    job += f"cd {shlex.quote(os.getcwd())} || exit 125\nexec {shlex.join(argv)}\n"
    with Guest(m, kernel, ensure_snapshot(m, kernel)) as g:
        g.sockets["control"].sendall(f"GO {int(time.time())} {len(job.encode())}\n{job}".encode())
        return converse(g, on_output, limit_s)


def converse(g, on_output, limit_s):
    """Passes the output on until the guest tells the exit status."""
    deadline = time.time() + limit_s
    streams = {g.sockets["out"]: "out", g.sockets["err"]: "err"}

    def pass_on(wait_s):
        """False when no channel had anything."""
        ready, _, _ = select.select([g.sockets["control"], *streams], [], [], wait_s)
        for s in ready:
            got = s.recv(1 << 16)
            if not got:
                raise LabError("the guest died\n" + g.last_words())
            if s in streams:
                on_output(streams[s], got)
            else:
                g.unread += got
        return bool(ready)

    while True:
        if not pass_on(max(0, deadline - time.time())):
            raise LabError(f"no end after {limit_s} s")
        while b"\n" in g.unread:
            words = g.control_line(0)
            if words[0] == "FAIL":
                raise LabError("guest: " + " ".join(words))
            if words[0] == "RC":  # sent after the last output was taken over by QEMU
                while pass_on(0):
                    pass
                return int(words[1])
