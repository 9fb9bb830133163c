"""What the tests share. Whatever binds runs in a process of its own: a binding cannot be undone for the next test."""
import json
import os
import re
import subprocess
import sys
import unittest

PROGRAM = os.environ.get("NUMAPIN_PROGRAM", "numapin")
ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SLOW = os.environ.get("NUMAPIN_TEST_TORCH")  # what takes more than a few seconds

slow = unittest.skipUnless(SLOW, "takes long: NUMAPIN_TEST_TORCH=1 runs it")
two_cpus = unittest.skipUnless(len(os.sched_getaffinity(0)) >= 2, "this process may use one CPU only")


def clean_environment(**more):
    """Without what a launcher or another test left."""
    names = re.compile(r"(NUMAPIN_(?!LIBRARY|PROGRAM|TEST)|SLURM_|OMPI_COMM_|.*_VISIBLE_DEVICES$|LOCAL_RANK$|RANK$|.*WORLD_SIZE$)")
    env = {k: v for k, v in os.environ.items() if not names.match(k)}
    return {**env, **{k: str(v) for k, v in more.items()}}


def run(argv, timeout=300, **env):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, env=clean_environment(**env))


def run_python(code, *args, timeout=300, before=(), **env):
    """Runs a script (from a file, as spawn needs one); its last line of output is JSON and is returned."""
    import tempfile
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "script.py")
        with open(path, "w") as f:
            f.write(code)
        r = run([*before, sys.executable, path, *map(str, args)], timeout, **env)
    if r.returncode:
        raise AssertionError(f"status {r.returncode}: {r.stderr[-3000:]}")
    return json.loads(r.stdout.splitlines()[-1])


def masks(pid="self"):
    """thread -> Cpus_allowed_list, as the kernel tells it."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status") as f:
            found[int(tid)] = re.search(r"Cpus_allowed_list:\s+(\S+)", f.read())[1]
    return found
