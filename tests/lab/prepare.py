"""Installs from Debian what the lab needs and this machine lacks."""
import os
import shutil
import subprocess
import sys

# program that must be there -> its package
NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "/sbin/mkfs.ext4": "e2fsprogs", "/bin/busybox": "busybox-static", "zstd": "zstd",
          "gcc": "gcc", "/usr/include/stdio.h": "libc6-dev", "numactl": "numactl", "lstopo-no-graphics": "hwloc-nox", "taskset": "util-linux",
          "crun": "crun", "/usr/sbin/runc": "runc"}


def missing():
    return sorted({package for program, package in NEEDED.items()
                   if not (os.path.exists(program) if program.startswith("/") else shutil.which(program))})


def packages():
    wanted = missing()
    if not wanted:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    print("installing", *wanted, file=sys.stderr)
    for command in (["apt-get", "update", "-qq"],
                    ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *wanted]):
        subprocess.run([*sudo, *command], check=True, stdout=sys.stderr)
