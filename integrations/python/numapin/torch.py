"""PyTorch: DataLoader workers on the GPU's node, pinned tensors whose pages are there, and a verdict inside the script.

    import numapin, numapin.torch
    numapin.bind(local_rank="auto", worker_cores="auto")
    loader = DataLoader(dataset, batch_size=256, **numapin.torch.dataloader_kwargs(num_workers=8))
    ...
    print(numapin.torch.check())

Works with torch 1.13 and later, on the CPU too; guide: docs/python.md.
"""
from __future__ import annotations

import logging
import mmap
import multiprocessing
import os
import sys
import warnings
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch.utils.data import get_worker_info

from . import (Error, GpuSpec, Inspection, Machine, Memory, Process, _gpu, _ids, _is_bound, _plan, allocate,
               bind, cpu_quota, inspect, memory_nodes_at)

__all__ = ["Check", "check", "dataloader_kwargs", "pinned_empty", "tensor_nodes", "worker_init_fn"]

Device = Union[GpuSpec, "torch.device", None]
_imported_in = os.getpid()
_MOST_WORKERS = 8  # each holds a copy of what the dataset grows in memory


def _spec(gpu: Device, on: Machine) -> Optional[GpuSpec]:
    """A torch device as numapin names GPUs: by UUID where CUDA is up and tells it, else by its number among the visible.

    CUDA is never initialised here: that would forbid forking workers."""
    if isinstance(gpu, str) and gpu.startswith("cuda"):
        gpu = torch.device(gpu)
    if isinstance(gpu, torch.device):
        if gpu.type != "cuda":
            raise Error("bad-input", f"find GPU {gpu}: it is a torch device of type {gpu.type}", "give a cuda device, an index, UUID or PCI address")
        gpu = gpu.index if gpu.index is not None else (torch.cuda.current_device() if torch.cuda.is_initialized() else 0)
    if isinstance(gpu, int) and torch.cuda.is_available() and torch.cuda.is_initialized():
        uuid = f"GPU-{getattr(torch.cuda.get_device_properties(gpu), 'uuid', None)}"  # torch 2.4 and later
        if any(known.uuid == uuid for known in on.gpus):  # not so of a MIG instance
            return uuid
    return gpu


def _machine_of(pid: int) -> Machine:
    """This machine as a process first saw it: enough to say where memory belongs, without asking the driver each time."""
    if pid not in _machines:
        _machines.clear()  # the parent's, before a fork
        _machines[pid] = Machine()
    return _machines[pid]


_machines: Dict[int, Machine] = {}


# ---- DataLoader -------------------------------------------------------------------------------------------------------


def _share(cores: Sequence[Sequence[int]], worker: int, workers: int, spread: str) -> Tuple[List[int], int]:
    """CPUs of a worker, and how many threads it may run without disturbing the others."""
    own = len(cores) // workers
    if spread == "shared" or own < (2 if spread == "auto" else 1):
        return sorted(cpu for core in cores for cpu in core), max(1, own)
    # the first len % workers get one core more
    first = worker * own + min(worker, len(cores) % workers)
    mine = cores[first:first + own + (worker < len(cores) % workers)]
    return sorted(cpu for core in mine for cpu in core), len(mine)


def _set_thread_counts(count: int) -> None:
    torch.set_num_threads(count)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = str(count)  # for what the worker loads or starts later
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        cv2.setNumThreads(count)


@dataclass(frozen=True)
class _WorkerInit:
    """Runs first in every worker. Plain data, so that spawn and forkserver can send it."""

    cores: Tuple[Tuple[int, ...], ...]    # physical cores, the logical CPUs of each
    nodes: str                            # "0"; "": unknown
    memory: str
    spread: str
    threads: Optional[int]
    then: Optional[Callable[[int], None]]

    def __call__(self, worker_id: int) -> None:
        info = get_worker_info()
        workers = info.num_workers if info is not None else 1
        if self.cores:
            cpus, threads = _share(self.cores, worker_id, workers, self.spread)
            bind(cpulist=_ids.to_list(cpus), nodes=self.nodes or None, memory=self.memory if self.nodes else None,
                 migrate=bool(self.nodes) and _is_forkserver_child(), look=False, set_threads=False)
            _set_thread_counts(self.threads or (1 if _is_forked() else threads))
        elif self.threads:
            _set_thread_counts(self.threads)
        if self.then is not None:
            self.then(worker_id)


def _is_forked() -> bool:
    """GNU OpenMP hangs in a child of a process that has used it (GCC bug 58378): torch gives workers one thread for it."""
    return _imported_in != os.getpid()


def _is_forkserver_child() -> bool:
    """Then mask and policy came from a server that may be older than bind(), and what was unpickled is where it ran."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def dataloader_kwargs(gpu: Device = None, *, num_workers: Optional[int] = None, local_rank: Union[int, str, None] = None,
                      cpus: Optional[str] = None, spread: str = "auto", memory: str = "preferred", threads: Optional[int] = None,
                      worker_init_fn: Optional[Callable[[int], None]] = None, machine: Optional[Machine] = None) -> Dict[str, Any]:
    """``num_workers`` and ``worker_init_fn`` for a DataLoader whose workers belong beside a GPU.

    The workers' cores are, in this order: those that ``bind(worker_cores=...)`` or ``numapin launch --worker-cores`` set
    apart (NUMAPIN_WORKER_CPUS); else three quarters of this process's share, which this process's threads then may use
    too. Each worker gets cores of its own where there are two or more for each; otherwise all workers share all of
    them, and the kernel spreads them. Works with fork, spawn and forkserver, persistent workers and several loaders.

    Args:
        gpu: as in numapin.bind(), or a torch device. Default: the GPU of this rank, else the visible ones.
        num_workers: default: one for each core left to workers, at most 8, and no more than the cgroup's CPU quota.
        local_rank: as in numapin.bind().
        cpus: the share to take them from: as in numapin.plan(). Default: what this process is bound to, else ``"exclusive"``.
        spread: ``"auto"``; ``"own"``: each its own cores even where that is one; ``"shared"``: all share all.
        memory: policy of the workers' memory: ``"preferred"``, ``"bind"``, ``"local"``.
        threads: of each worker (torch, OpenMP, OpenCV). Default: its cores; 1 in forked workers, where GNU OpenMP hangs
            with more once the parent has used it.
        worker_init_fn: yours, called afterwards.
        machine: default: this one.

    Raises:
        Error: ``not-found`` (no such GPU), ``bad-input``.
    """
    if spread not in ("auto", "own", "shared"):
        raise Error("bad-input", f"spread workers '{spread}': no such choice", "auto, own or shared")
    on = machine or Machine()
    mine, nodes = _worker_place(_spec(gpu, on), local_rank, cpus, on)
    cores = _cores_within(on, mine)
    if num_workers is None:
        num_workers = _default_workers(len(cores))
    if os.environ.get("NUMAPIN_WORKER_CPUS"):
        # DataLoader counts the CPUs of the main process, which has left these cores to the workers
        warnings.filterwarnings("ignore", message="This DataLoader will create .* worker processes", category=UserWarning)
    return {"num_workers": num_workers,
            "worker_init_fn": _WorkerInit(cores, nodes, memory, spread, threads, worker_init_fn)}


def worker_init_fn(worker_id: int) -> None:
    """For ``DataLoader(worker_init_fn=numapin.torch.worker_init_fn)``: workers on what bind() or numapin launch set apart.

    As dataloader_kwargs(), but decided in the worker from the environment: NUMAPIN_WORKER_CPUS, else the mask that it
    inherited. It needs bind(), run or launch before it, and costs a look at the machine in every worker.
    """
    on = Machine()
    cpus = _ids.parse(os.environ.get("NUMAPIN_WORKER_CPUS", "")) or sorted(os.sched_getaffinity(0))
    nodes = [n.id for n in on.nodes if set(n.cpus) & set(cpus) and n.memory_total_bytes != 0]
    everywhere = len(nodes) == len([n for n in on.nodes if n.cpus and n.memory_total_bytes != 0])
    _WorkerInit(_cores_within(on, cpus), "" if everywhere else _ids.to_list(nodes), "preferred", "auto", None, None)(worker_id)


def _worker_place(gpu: Optional[GpuSpec], local_rank: Union[int, str, None], scope: Optional[str], on: Machine) -> Tuple[List[int], str]:
    """CPUs of the workers, and the nodes that their memory belongs to ("": unknown, or all)."""
    if gpu is None and local_rank is None:
        local_rank = "auto"
    split = _ids.parse(os.environ.get("NUMAPIN_WORKER_CPUS", "")) if on.is_live else []
    allowed = None
    if scope is None and on.is_live and _is_bound():
        allowed, scope = _ids.to_list(os.sched_getaffinity(0)), "all"  # this share is ours
    # a share of one core cannot be split: workers and main process then share it
    for workers in ([] if split else ["auto"]) + [None]:
        p = _plan(on, allowed, {"gpu": _gpu(gpu), "local_rank": local_rank, "per_gpu": False, "cpus": scope, "worker_cores": workers}).placements[0]
        if p.worker_cpus:
            break
    cpus = split or p.worker_cpus or p.cpus or on.allowed_cpus
    nodes = p.memory["numa_nodes"] if p.memory["mode"] != "none" else []
    return cpus, _ids.to_list(nodes)


def _cores_within(on: Machine, cpus: Sequence[int]) -> Tuple[Tuple[int, ...], ...]:
    """The physical cores of `cpus`, each cut down to them; CPUs of no known core stand alone."""
    rest, cores = set(cpus), []
    for core in on.cores:
        part = tuple(cpu for cpu in core if cpu in rest)
        if part:
            cores.append(part)
            rest -= set(part)
    return tuple(sorted(cores + [(cpu,) for cpu in rest]))


def _default_workers(cores: int) -> int:
    quota = cpu_quota()
    most = min(_MOST_WORKERS, cores) if quota is None else min(_MOST_WORKERS, cores, int(quota) - 1)  # one for the main process
    return max(1, most)


# ---- pinned memory ----------------------------------------------------------------------------------------------------


class _PinnedMemory(Memory):
    """Memory that CUDA has registered; the registration ends before the memory does."""

    registered_in = 0  #: process

    def __del__(self) -> None:
        if self.registered_in == os.getpid():
            torch.cuda.cudart().cudaHostUnregister(self.address)


def pinned_empty(shape: Union[int, Sequence[int]], dtype: Optional["torch.dtype"] = None, *, gpu: Device = None, strict: bool = False,
                 huge_pages: bool = True, pin: bool = True, machine: Optional[Machine] = None) -> "torch.Tensor":
    """A host tensor for transfers to a GPU whose pages are on the GPU's node: placed, touched, looked up, then pinned.

    torch's own pin_memory takes pages where the calling thread happens to run, and keeps the blocks for later tensors.
    Zeroed. It is page-locked by cudaHostRegister, so ``is_pinned()`` holds and ``non_blocking=True`` works. Forked children
    do not have it (MADV_DONTFORK): a worker that touches it dies by SIGSEGV.

    Args:
        shape, dtype: as in torch.empty().
        gpu: as in numapin.bind(), or a torch device. Default: CUDA's current device.
        strict: raise Error when a page is on another node, or that cannot be told. Otherwise a warning says how many are.
        huge_pages: ask for transparent huge pages.
        pin: False: placed but not pinned (no CUDA needed).
        machine: default: this one.

    Raises:
        Error: ``unsupported`` (no CUDA), ``not-found`` (no such GPU), ``system`` (CUDA refuses; strict).
    """
    if pin and not torch.cuda.is_available():
        raise Error("unsupported", "pin memory: torch finds no CUDA device", "pin=False gives a placed tensor that is not pinned")
    if pin:
        torch.cuda.init()
        gpu = torch.cuda.current_device() if gpu is None else gpu
    on = machine or _machine_of(os.getpid())
    dtype = dtype or torch.get_default_dtype()
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    count = 1
    for size in sizes:
        count *= size
    if count == 0:
        return torch.empty(sizes, dtype=dtype, pin_memory=pin)
    buffer = allocate(count * torch.empty(0, dtype=dtype).element_size(), gpu=_spec(gpu, on), huge_pages=huge_pages,
                      strict=strict, machine=on, kind=_PinnedMemory)
    _warn_of_strays(buffer)
    if pin:
        _register(buffer)
    return torch.frombuffer(buffer, dtype=dtype, count=count).reshape(sizes)


def _register(buffer: _PinnedMemory) -> None:
    portable = 1  # cudaHostRegisterPortable: pinned for every context of this process
    error = torch.cuda.cudart().cudaHostRegister(buffer.address, len(buffer), portable)
    if int(error) != 0:
        raise Error("system", f"pin {len(buffer)} bytes: cudaHostRegister: error {int(error)}", "ulimit -l, or the memory left on the machine")
    buffer.registered_in = os.getpid()
    # Before Linux 5.12 a write after fork() moves the parent's page away from under the GPU; later kernels copy every
    # pinned page for each child.
    buffer.madvise(mmap.MADV_DONTFORK)


def _warn_of_strays(buffer: Memory) -> None:
    log = logging.getLogger("numapin")
    for line in buffer.warnings:
        log.warning("%s", line)
    share = buffer.local_share
    if share is not None and share < 1:
        log.warning("pinned memory: %.0f %% of %d MiB is not on node %s: the node is full; numapin run --make-room frees page cache first",
                    100 * (1 - share), len(buffer) >> 20, _ids.to_list(buffer.numa_nodes or []))


def tensor_nodes(tensor: "torch.Tensor") -> Dict[int, int]:
    """Node -> bytes of the pages that a host tensor's storage lies on (whole pages).

    Raises:
        Error: ``bad-input`` for a tensor on a device, ``denied`` where the kernel does not tell (seccomp).
    """
    if tensor.device.type != "cpu":
        raise Error("bad-input", f"ask where pages are: the tensor is on {tensor.device}", "only host memory has NUMA nodes")
    return memory_nodes_at(tensor.data_ptr(), max(1, tensor.numel() * tensor.element_size()))


# ---- verdict ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """What check() found; ``str()`` is one line, truth in an ``if`` means that nothing is wrong."""

    line: str                     #: "rank 0 of 1: GPU 0 on node 0: 34 threads on CPUs 0-11; ...: ok"
    ok: bool                      #: no process is wrong or loose; unknown counts as ok
    inspection: Inspection

    def __str__(self) -> str:
        return self.line

    def __bool__(self) -> bool:
        return self.ok


def check(gpu: Device = None, *, machine: Optional[Machine] = None) -> Check:
    """A verdict inside a training script: rank, GPU, node, share of memory there, workers. Reads /proc; changes nothing.

    It takes about 0.1 s per 10 GB of this process's memory: call it after warm-up, not in every step.

    Args:
        gpu: judge against this GPU; default: CUDA's current device where CUDA is up, else the GPUs that the process uses.
        machine: default: this one.
    """
    on = machine or Machine()
    if gpu is None and torch.cuda.is_available() and torch.cuda.is_initialized():
        gpu = torch.cuda.current_device()
    found = inspect(gpu=_spec(gpu, on), machine=on)
    worker_pids = {p.pid for p in multiprocessing.active_children()}
    me = found.processes[0]
    workers = [p for p in found.processes[1:] if p.pid in worker_pids]
    bad = [p for p in [me] + workers if p.state in ("wrong", "loose")]
    parts = [_cpu_words(on, me)] + [w for w in [_memory_words(on, me)] if w] + [_worker_words(on, workers)]
    line = f"{_rank_words()}: {_gpu_words(on, me)}: {'; '.join(parts)}: " + ("ok" if not bad else "; ".join(_complaint(p, me) for p in bad[:2]))
    if len(bad) > 2:
        line += f"; {len(bad) - 2} more"
    return Check(line, not bad, found)


def _rank_words() -> str:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return f"rank {distributed.get_rank()} of {distributed.get_world_size()}"
    return f"rank {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"


def _gpu_words(on: Machine, me: Process) -> str:
    if not me.gpus:
        return "no GPU"
    nodes = sorted({node for gpu in on.gpus if gpu.index in me.gpus for node in gpu.numa_nodes or []})
    return f"GPU {_ids.to_list(me.gpus)} on " + (f"node {_ids.to_list(nodes)}" if nodes else "an unknown node")


def _nodes_of(on: Machine, cpus: Sequence[int]) -> str:
    nodes = [n.id for n in on.nodes if set(n.cpus) & set(cpus)]
    return f"node{'' if len(nodes) == 1 else 's'} {_ids.to_list(nodes)}"


def _union(thread_cpus: Sequence[Sequence[int]], on: Machine) -> List[int]:
    online = {cpu for node in on.nodes for cpu in node.cpus}
    return sorted({cpu for cpus in thread_cpus for cpu in cpus} & online)


def _cpu_words(on: Machine, p: Process) -> str:
    cpus, count = _union(p.thread_cpus, on), len(p.thread_cpus)
    return f"{count} thread{'' if count == 1 else 's'} on CPUs {_ids.to_list(cpus)} ({_nodes_of(on, cpus)})"


def _memory_words(on: Machine, p: Process) -> str:
    """Share of its memory on the nodes of its GPUs, else of its CPUs."""
    if not p.own_bytes:
        return ""
    near = {node for gpu in on.gpus if gpu.index in p.gpus for node in gpu.numa_nodes or []}
    near = near or {n.id for n in on.nodes if set(n.cpus) & set(_union(p.thread_cpus, on))}
    total = sum(p.own_bytes.values())
    local = sum(count for node, count in p.own_bytes.items() if node in near)
    size = f"{total / 2**30:.1f} GiB" if total >= 2**30 else f"{total >> 20} MiB"
    return f"{100 * local / max(1, total):.0f} % of {size} on node {_ids.to_list(near)}"


def _worker_words(on: Machine, workers: Sequence[Process]) -> str:
    if not workers:
        return "no workers"
    cpus = _union([c for p in workers for c in p.thread_cpus], on)
    return f"{len(workers)} worker{'' if len(workers) == 1 else 's'} on CPUs {_ids.to_list(cpus)} ({_nodes_of(on, cpus)})"


def _complaint(p: Process, me: Process) -> str:
    return p.verdict if p is me else f"worker {p.pid}: {p.verdict}"
