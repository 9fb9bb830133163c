"""What the cases in cases/python.py run in the guest: the Python package at work. argv: function, arguments; prints JSON.

torch itself takes minutes to be imported under emulation. In its place stands the handful of its functions that
numapin.torch calls, and workers are started by multiprocessing as DataLoader starts them; tests/python has the real one.
"""
import json
import mmap
import multiprocessing
import os
import re
import sys
import threading
import types

STATE = types.SimpleNamespace(worker_info=None, threads=64)


def stand_in_for_torch():
    torch, data = types.ModuleType("torch"), types.ModuleType("torch.utils.data")
    torch.get_num_threads = lambda: STATE.threads
    torch.set_num_threads = lambda count: setattr(STATE, "threads", count)
    torch.cuda = torch.distributed = types.SimpleNamespace(is_available=lambda: False)
    torch.device = type("device", (), {})
    data.get_worker_info = lambda: STATE.worker_info
    sys.modules.update({"torch": torch, "torch.utils": types.ModuleType("torch.utils"), "torch.utils.data": data})


stand_in_for_torch()
import numapin  # noqa: E402
import numapin.torch  # noqa: E402


def touched(mib):
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(memory), 4096):
        memory[at] = 1
    return memory


def masks(pid="self"):
    """The different masks of its threads."""
    found = set()
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status") as f:
            found.add(re.search(r"Cpus_allowed_list:\s+(\S+)", f.read())[1])
    return sorted(found)


ERRORS = []


def nodes(memory):
    """node -> MiB, asked of the kernel; numa_maps agrees, says the case that compares them. None: it does not tell."""
    try:
        return {node: count >> 20 for node, count in numapin.memory_nodes(memory).items()}
    except numapin.Error as e:
        ERRORS.append(str(e))
        return None


def bind(gpu, migrate, elsewhere, *options):
    """Touches 32 MiB on CPU `elsewhere`, with three threads about; binds; touches 16 MiB more."""
    gate, everything = threading.Event(), os.sched_getaffinity(0)
    for _ in range(3):
        threading.Thread(target=gate.wait, daemon=True).start()
    os.sched_setaffinity(0, {int(elsewhere)})
    before = touched(32)
    os.sched_setaffinity(0, everything)
    at_first = nodes(before)
    b = numapin.bind(gpu=int(gpu), migrate=migrate == "migrate", **json.loads(options[0] if options else "{}"))
    return {"masks": masks(), "cpus": b.cpus, "at_first": at_first, "before": nodes(before), "after": nodes(touched(16)), "late": b.late,
            "moved_mib": b.moved_bytes and b.moved_bytes >> 20, "losses": b.losses, "warnings": b.warnings, "threads": b.threads,
            "error": " ".join(ERRORS), "torch_threads": STATE.threads, "check": str(numapin.torch.check(int(gpu)))}


def worker(kwargs, number, count, payload, answers, gate):
    """As DataLoader's _worker_loop: the payload (a dataset) has been unpickled, then the init function runs."""
    STATE.worker_info = types.SimpleNamespace(id=number, num_workers=count)
    kwargs["worker_init_fn"](number)
    memory = touched(8)
    with open("/proc/self/numa_maps") as f:
        policy = f.readline().split()[1]
    answers.put({"masks": masks(), "nodes": nodes(memory), "payload": nodes(bytearray_of(payload)), "policy": policy, "threads": STATE.threads})
    gate.wait()


def bytearray_of(payload):
    return payload if payload is not None else bytearray(1)


def workers(start, gpu, old_server, elsewhere):
    context = multiprocessing.get_context(start)
    if old_server == "old-server":  # forkserver: its processes inherit from a time before bind()
        everything = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {int(elsewhere)})
        first = context.Process(target=int)
        first.start()
        first.join()
        os.sched_setaffinity(0, everything)
    b = numapin.bind(gpu=int(gpu), worker_cores=1, cpus="node", migrate=True)
    kwargs = numapin.torch.dataloader_kwargs(int(gpu), num_workers=4 if start == "fork" else 2)  # the others import everything anew: seconds each here
    answers, gate, count = context.Queue(), context.Event(), kwargs["num_workers"]
    payload = bytearray(b"x") * (8 << 20) if start != "fork" else None
    started = [context.Process(target=worker, args=(kwargs, i, count, payload, answers, gate), daemon=True) for i in range(count)]
    for p in started:
        p.start()
    found = [answers.get(timeout=50) for _ in started]
    check = numapin.torch.check(int(gpu))
    gate.set()
    for p in started:
        p.join()
    return {"main": b.main_cpus, "worker": b.worker_cpus, "masks": masks(), "workers": found, "check": str(check), "ok": check.ok}


def allocate(gpu, elsewhere, mib):
    os.sched_setaffinity(0, {int(elsewhere)})  # the caller runs on the other node
    memory = numapin.allocate(int(mib) << 20, gpu=int(gpu), huge_pages=False)
    address = f"{memory.address:x}"
    with open("/proc/self/numa_maps") as f:
        line = next((line for line in f if line.startswith(address)), "")
    return {"told": memory.bytes_by_node, "share": memory.local_share, "numa_maps": dict(re.findall(r" N(\d+)=(\d+)", line)),
            "policy": line.split()[1] if line else "", "warnings": memory.warnings, "mask": masks()}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
