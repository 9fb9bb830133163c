"""How much CPU time the cgroup leaves: a container may see 128 CPUs and be given the time of four."""
from __future__ import annotations

import os
from typing import List, Optional, Tuple


def cpu_quota(root: str = "/") -> Optional[float]:
    """CPUs' worth of time that this process's cgroup and those above it may use; None without a limit.

    Sources: cpu.max of cgroup v2, cpu.cfs_quota_us and cpu.cfs_period_us of v1 (kernel Documentation/admin-guide).
    """
    limits = [limit for directory, version in _directories(root) for limit in [_limit(directory, version)] if limit is not None]
    return min(limits) if limits else None


def _read(*path: str) -> str:
    try:
        with open(os.path.join(*path)) as f:
            return f.read()
    except OSError:
        return ""


def _directories(root: str) -> List[Tuple[str, int]]:
    """The process's cgroup of the cpu controller and all above it, up to the mount, each with its version."""
    found = []
    for line in _read(root, "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            mounts, version = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], 2
        elif "cpu" in controllers.split(","):
            mounts, version = ["sys/fs/cgroup/" + controllers, "sys/fs/cgroup/cpu"], 1
        else:
            continue
        for mount in mounts:
            # inside a cgroup namespace or a container's own mount the path may not exist: the mount itself is then ours
            parts = path.strip("/").split("/")
            for n in range(len(parts), -1, -1):
                found.append((os.path.join(root, mount, *parts[:n]), version))
    return found


def _limit(directory: str, version: int) -> Optional[float]:
    if version == 2:
        words = _read(directory, "cpu.max").split()
        return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None
    quota, period = _read(directory, "cpu.cfs_quota_us").strip(), _read(directory, "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None
