"""numapin: put this process, its threads and its workers beside its GPU, and say what was achieved.

>>> import numapin
>>> print(numapin.bind(gpu=0))
GPU 0 → node 0: 9 threads on CPUs 0-11,24-35, memory preferred node 0

Binding from inside is late by nature: what was touched before stays where it is (``migrate=True`` moves it). Before the
process starts, ``numapin run`` and ``numapin launch`` do it without that loss. Guide: docs/python.md.
"""
from __future__ import annotations

import ctypes
import logging
import mmap
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Type, TypeVar, Union

from . import _ids
from ._cgroup import cpu_quota
from ._library import PACKAGE_VERSION as __version__
from ._library import Error, Handle, call, library, request

__all__ = ["Binding", "Error", "Gpu", "Inspection", "Machine", "Memory", "Node", "Placement", "Plan", "Process", "allocate", "bind",
           "cpu_quota", "cpus", "inspect", "library_version", "machine", "memory_nodes", "memory_nodes_at", "plan"]

GpuSpec = Union[int, str, Sequence[Union[int, str]]]
_log = logging.getLogger("numapin")


def library_version() -> str:
    """Version of libnumapin.so, as ``"0.1.0"``. Raises Error where it cannot be loaded; so does every other function."""
    return library().numapin_version().decode()


# ---- machines ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A NUMA node."""

    id: int
    cpus: List[int]                       #: online logical CPUs; empty for a node of memory only
    memory_total_bytes: Optional[int]     #: None: unknown; 0: a node without memory
    memory_free_bytes: Optional[int]


@dataclass(frozen=True)
class Gpu:
    """A GPU; what is None is unknown."""

    index: int                            #: in PCI order, from 0
    address: Optional[str]                #: PCI address, "0000:18:00.0"
    uuid: Optional[str]
    model: Optional[str]
    numa_nodes: Optional[List[int]]       #: nodes that it is near to; several on split sockets


class Machine:
    """A machine as ``numapin topo --json`` describes it.

    Attributes:
        data: the whole document, schema ``numapin/topo/1`` (docs/json.md).
    """

    def __init__(self, source: Optional[str] = None) -> None:
        self._handle, self.is_live = Handle(source), source is None
        self.data: Dict[str, Any] = call("machine_json", self._handle.pointer)

    @property
    def nodes(self) -> List[Node]:
        return [Node(n["id"], _ids.parse(n["cpulist"] or ""), n["memory_total_bytes"], n["memory_free_bytes"])
                for n in self.data["numa_nodes"]]

    @property
    def gpus(self) -> List[Gpu]:
        return [Gpu(g["index"], g["address"], g["uuid"], g["model"], g["numa_nodes"]) for g in self.data["gpus"]]

    @property
    def cores(self) -> List[List[int]]:
        """Physical cores: the online logical CPUs of each, by first CPU."""
        return [_ids.parse(c["cpulist"]) for c in self.data["cores"]]

    @property
    def allowed_cpus(self) -> List[int]:
        """CPUs that this process may use: those of any of its threads. All of the machine's where no limit is known."""
        text = self.data["allowance"]["cpulist"]
        return _ids.parse(text if text is not None else self.data["online_cpulist"] or "")

    def __repr__(self) -> str:
        return f"<numapin.Machine {self.data['hostname'] or 'unnamed'}: {len(self.nodes)} nodes, {len(self.gpus)} GPUs>"


def machine(source: Union[str, "os.PathLike[str]", None] = None) -> Machine:
    """This machine as it is now, or a recorded one.

    Args:
        source: what ``numapin --machine`` takes: a snapshot, a directory, a tar, hwloc XML, ..., a built-in machine's name.

    Raises:
        Error: ``not-found`` (no such file or name), ``bad-input`` (a file that is none of these).
    """
    return Machine(None if source is None else os.fspath(source))


# ---- plans ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """What one process gets. Lists of CPUs are empty where the mask is left alone."""

    rank: int
    gpus: List[int]                       #: Gpu.index
    cpus: List[int]
    main_cpus: List[int]                  #: with worker_cores: the main process's part of cpus
    worker_cpus: List[int]                #: with worker_cores: the workers' part
    cores: Optional[int]                  #: physical cores that cpus lie on
    numa_nodes: Optional[List[int]]       #: nodes of its GPUs; None: unknown, or no GPU
    memory: Dict[str, Any]                #: {"mode": "preferred-many", "numa_nodes": [0]}
    env: Dict[str, str]                   #: variables to set
    because: List[str]
    warnings: List[str]


@dataclass(frozen=True)
class Plan:
    """Who would go where; ``data`` is the document of schema ``numapin/plan/1`` (docs/plan-json.md)."""

    placements: List[Placement]
    notes: List[str]
    data: Dict[str, Any] = field(repr=False)


def _cpus_of(document: Dict[str, Any], key: str) -> List[int]:
    return _ids.parse(document[key] or "")


def _placement(d: Dict[str, Any]) -> Placement:
    return Placement(d["rank"], d["gpus"], _cpus_of(d, "cpulist"), _cpus_of(d, "main_cpulist"), _cpus_of(d, "worker_cpulist"),
                     d["cores"], d["near_numa_nodes"], d["memory"], d["env"], d["because"], d["warnings"])


def _gpu(spec: Optional[GpuSpec]) -> Any:
    """A GPU as a request takes it."""
    return spec if spec is None or isinstance(spec, (int, str)) else list(spec)


def _environment(machine: Optional[Machine]) -> Optional[Dict[str, str]]:
    """This process's, as os.environ has it now; a recording has its own."""
    return dict(os.environ) if machine is None or machine.is_live else None


def plan(gpu: Optional[GpuSpec] = None, *, local_rank: Union[int, str, None] = None, local_size: Optional[int] = None,
         per_gpu: bool = True, processes: int = 1, processes_per_gpu: int = 1, cpus: Optional[str] = None,
         memory: Optional[str] = None, profile: Optional[str] = None, smt: bool = True, reserve: int = 0,
         worker_cores: Union[int, str, None] = None, machine: Optional[Machine] = None) -> Plan:
    """Who would go where; changes nothing.

    Args:
        gpu: index among the visible GPUs, UUID or prefix of one, PCI address, ``"0-3"``, ``"all"``, ``"none"``, or a list
            of these. Default: the visible GPUs.
        local_rank: the GPU of this rank on this host; ``"auto"``: the rank that mpirun, srun, flux, torchrun or numapin
            gave this process.
        local_size: ranks on this host; needed only without GPUs, where each rank gets its share of the nodes.
        per_gpu: one process per GPU; False: one process for all of them.
        processes, processes_per_gpu: number of processes without GPUs, and on each GPU.
        cpus: ``"node"``, ``"socket"``, ``"l3"``, ``"exclusive"`` (default: a share of the node's cores, counted over all
            of its GPUs), ``"spread"``, ``"all"``, ``"none"``.
        memory: ``"preferred"`` (default; spills when full), ``"bind"`` (never elsewhere), ``"interleave"``,
            ``"weighted-interleave"``, ``"local"``, ``"default"``, ``"none"``.
        profile: ``"training"``, ``"inference"``, ``"big-memory"``.
        smt: False: one logical CPU of each core.
        reserve: physical cores of each node to leave to the system.
        worker_cores: physical cores of each share for data-loading workers, or ``"auto"`` (three quarters).
        machine: default: this one, as it is now.

    Raises:
        Error: ``not-found`` (no such GPU), ``bad-input`` (a word or number that makes no sense; the hint says what does).
    """
    on = machine or Machine()
    return _plan(on, _cpus_before_bind() if on.is_live else None, {
        "gpu": _gpu(gpu), "local_rank": local_rank, "local_size": local_size, "per_gpu": per_gpu, "processes": processes,
        "processes_per_gpu": processes_per_gpu, "cpus": cpus, "memory": memory, "profile": profile, "smt": smt, "reserve": reserve,
        "worker_cores": worker_cores})


def _plan(on: Machine, allowed: Optional[str], keys: Dict[str, Any]) -> Plan:
    document = call("plan", on._handle.pointer, request({**keys, "allowed_cpulist": allowed, "env": _environment(on)}))
    return Plan([_placement(d) for d in document["placements"]], document["notes"], document)


# ---- binding ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Binding:
    """What bind() achieved; ``str()`` is the verdict and, a line each, what is less than asked for."""

    verdict: str                          #: "GPU 0 → node 0: 9 threads on CPUs 0-11, memory preferred node 0"
    gpus: List[int]                       #: Gpu.index
    numa_nodes: Optional[List[int]]       #: nodes of the GPUs; None: unknown, or no GPU
    cpus: List[int]                       #: of this process with its workers; empty: masks left as they were
    main_cpus: List[int]                  #: with worker_cores: what the threads of this process were bound to
    worker_cpus: List[int]                #: with worker_cores: left to the workers
    cores: Optional[int]                  #: physical cores that cpus lie on
    threads: int                          #: that were alive
    late: Optional[str]                   #: what coming late means for pages touched before; None: nothing
    elsewhere_bytes: Optional[int]        #: touched before, and on other nodes now; None: one node, or not looked at
    moved_bytes: Optional[int]            #: with migrate
    warnings: List[str]                   #: what you should know
    losses: List[str]                     #: what the kernel refused, and what to do about it
    data: Dict[str, Any] = field(repr=False)  #: schema numapin/bind/1 (docs/json.md)

    @property
    def complete(self) -> bool:
        """Everything asked for was done."""
        return not self.losses

    def __str__(self) -> str:
        return "\n  ".join([self.verdict] + ([self.late] if self.late else []) + self.warnings + self.losses)


def bind(gpu: Optional[GpuSpec] = None, *, local_rank: Union[int, str, None] = None, local_size: Optional[int] = None,
         cpus: Optional[str] = None, memory: Optional[str] = None, profile: Optional[str] = None, smt: bool = True,
         reserve: int = 0, worker_cores: Union[int, str, None] = None, cpulist: Optional[str] = None,
         nodes: Optional[str] = None, migrate: bool = False, strict: bool = False, look: bool = True,
         set_threads: bool = True, machine: Optional[Machine] = None) -> Binding:
    """Binds this process beside its GPU: every thread now alive, and so what they start later.

    The memory policy is the calling thread's alone (the kernel lets no thread set another's): call it from the thread
    that starts the others. Masks reach all threads; one with a mask of its own (OMP_PROC_BIND) keeps its shape.

    With neither ``gpu`` nor ``local_rank`` it is ``local_rank="auto"``: the GPU of this rank under torchrun, mpirun, srun,
    flux or numapin launch, else all visible GPUs. Bind again as often as you like: the widest mask that this process had
    is remembered in NUMAPIN_ALLOWED_CPUS.

    Args:
        gpu, local_rank, local_size, memory, profile, smt, reserve: as in plan().
        cpus: as in plan(); default ``"node"``, with worker_cores ``"exclusive"``, and what run or launch gave, if they did.
        worker_cores: physical cores for data-loading workers, or ``"auto"``: this process's own threads keep to the rest.
        cpulist, nodes: these very CPUs and the memory of these nodes, whatever the GPU: ``"0-3"``, ``"0"``.
        migrate: also move what was touched before on other nodes. It takes about a second for a few GB; memory that CUDA
            has pinned cannot move.
        strict: raise Error where the kernel refuses; what was done before it stays.
        look: False: do not read where this process's pages are (the kernel walks all of them: about 0.1 s per 10 GB).
        set_threads: lower torch's thread count, where torch is loaded, to the cores left: it was counted before.
        machine: as it was when numapin.machine() was called; default: as it is now.

    Raises:
        Error: ``not-found`` (no such GPU), ``bad-input``; with strict ``denied`` and others.
    """
    if gpu is None and local_rank is None:
        local_rank = "auto"
    named = cpulist is not None or nodes is not None
    before = None if named else _cpus_before_bind()
    if cpus is None and local_rank == "auto" and before is None and _is_bound():
        cpus = "all"  # run or launch gave this process its CPUs already
    keys: Dict[str, Any] = {"cpulist": cpulist, "nodes": nodes, "memory": memory} if named else {
        "gpu": _gpu(gpu), "local_rank": local_rank, "local_size": local_size, "cpus": cpus, "memory": memory, "profile": profile,
        "smt": smt, "reserve": reserve, "worker_cores": worker_cores, "allowed_cpulist": before, "env": _environment(machine)}
    document = call("bind_self", machine._handle.pointer if machine else None,
                    request({**keys, "migrate": migrate, "strict": strict, "look": look}))
    binding = _binding(document)
    _remember(binding, before)
    if set_threads:
        _lower_torch_threads(binding)
    for line in binding.losses + binding.warnings + ([binding.late] if binding.late else []):
        _log.warning("%s", line)
    return binding


def _binding(d: Dict[str, Any]) -> Binding:
    pages = d["pages"] or {}
    losses = [loss["message"] + (f" ({loss['hint']})" if loss["hint"] else "") for loss in d["losses"]]
    return Binding(d["verdict"], d["gpus"], d["near_numa_nodes"], _cpus_of(d, "cpulist"), _cpus_of(d, "main_cpulist"),
                   _cpus_of(d, "worker_cpulist"), d["cores"], d["threads"]["seen"], d["late"], pages.get("elsewhere_bytes"),
                   pages.get("moved_bytes"), d["warnings"], losses, d)


def _cpus_before_bind() -> Optional[str]:
    """What this process might use before bind() narrowed it; None where that is unknown, or another has bound it since."""
    allowed, bound = os.environ.get("NUMAPIN_ALLOWED_CPUS"), os.environ.get("NUMAPIN_CPUS")
    return allowed if allowed and bound == _ids.to_list(os.sched_getaffinity(0)) else None


def _is_bound() -> bool:
    """numapin run, launch or bind() gave this process its CPUs."""
    return "NUMAPIN_RUN_ID" in os.environ or os.environ.get("NUMAPIN_CPUS") == _ids.to_list(os.sched_getaffinity(0))


def _remember(binding: Binding, before: Optional[str]) -> None:
    """For bind() later on, and in processes that this one starts."""
    if binding.cpus:
        os.environ["NUMAPIN_ALLOWED_CPUS"] = before or binding.data["allowed_cpulist"]
        os.environ["NUMAPIN_CPUS"] = _ids.to_list(os.sched_getaffinity(0))
    for name in ("NUMAPIN_MAIN_CPUS", "NUMAPIN_WORKER_CPUS"):
        os.environ.pop(name, None)
    os.environ.update(binding.data["env"])


def _lower_torch_threads(binding: Binding) -> None:
    """torch counts CPUs when it is loaded, and would go on with a thread for each of the whole machine's."""
    torch = sys.modules.get("torch")
    if torch is None or not binding.cpus or not hasattr(torch, "set_num_threads"):
        return
    cores = len(binding.main_cpus or binding.cpus)
    if binding.cores:  # hyper-threads of a core gain nothing here
        cores = max(1, cores * binding.cores // len(binding.cpus))
    quota = cpu_quota()
    if quota is not None:
        cores = max(1, min(cores, int(quota)))
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


def cpus(gpu: Optional[GpuSpec] = None, *, local_rank: Union[int, str, None] = None, scope: str = "node", smt: bool = True,
         machine: Optional[Machine] = None) -> List[int]:
    """The logical CPUs that bind() with the same arguments would choose, in ascending order; changes nothing.

    Args:
        gpu, local_rank, smt, machine: as in bind().
        scope: ``cpus`` of bind().

    Raises:
        Error: ``not-found`` (no such GPU), ``bad-input``.
    """
    if gpu is None and local_rank is None:
        local_rank = "auto"
    on = machine or Machine()
    placement = plan(gpu, local_rank=local_rank, per_gpu=False, cpus=scope, smt=smt, machine=on).placements[0]
    return placement.cpus or on.allowed_cpus


# ---- inspecting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A running process against the node of its GPUs."""

    pid: int
    depth: int                            #: 0: the one asked for; 1: its child, ...
    name: str
    state: str                            #: "ok", "one-node", "loose", "wrong", "unknown"
    verdict: str                          #: "cpus on node 1, GPU 0 on node 0; 37 % of 18.6 GiB on node 1"
    mend: Optional[str]                   #: the command that mends it
    gpus: List[int]                       #: Gpu.index; a child without its own has its parent's
    thread_cpus: List[List[int]]          #: CPUs that each thread may use
    own_bytes: Optional[Dict[int, int]]   #: node -> bytes, without the page cache of files; None: not to be seen
    data: Dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Inspection:
    """Processes in the order parent, child; ``data`` is the document of schema ``numapin/inspect/1`` (docs/json.md)."""

    processes: List[Process]
    data: Dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(f"{p.pid} {p.name}: {p.state}: {p.verdict}" for p in self.processes)


def inspect(pid: Optional[int] = None, *, children: bool = True, gpu: Optional[GpuSpec] = None, memory: bool = True,
            machine: Optional[Machine] = None) -> Inspection:
    """Where a process, and what descends from it, really is.

    Args:
        pid: default: this process.
        children: also those that descend from it (DataLoader workers).
        gpu: judge against these GPUs, whichever the process uses; as in plan().
        memory: False: do not read where pages are.
        machine: default: this one.

    Raises:
        Error: ``not-found`` (no such process), ``denied`` (another user's).
    """
    document = call("inspect", machine._handle.pointer if machine else None, request({
        "pid": pid, "children": children, "gpu": _gpu(gpu), "memory": memory, "env": _environment(machine)}))
    return Inspection([_process(p) for p in document["processes"]], document)


def _process(p: Dict[str, Any]) -> Process:
    memory = p["memory"]
    own = None if memory is None else {int(node): count for node, count in memory["own_bytes"].items()}
    return Process(p["pid"], p["depth"], p["name"], p["state"], p["verdict"], p["mend"], [g["index"] for g in p["gpus"]],
                   [_cpus_of(t, "allowed_cpulist") for t in p["threads"]], own, p)


# ---- memory -----------------------------------------------------------------------------------------------------------


class Memory(mmap.mmap):
    """Memory on certain nodes, a writable buffer; made by allocate().

    Attributes:
        numa_nodes: where it was to go; None: unknown (the GPU's node is).
        bytes_by_node: where it is; None: the kernel does not tell (seccomp).
        warnings: what is less than asked for.
    """

    numa_nodes: Optional[List[int]]
    bytes_by_node: Optional[Dict[int, int]]
    warnings: List[str]

    @property
    def address(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self))

    @property
    def local_share(self) -> Optional[float]:
        """0 to 1: how much of it is on numa_nodes; None: unknown."""
        if self.numa_nodes is None or self.bytes_by_node is None:
            return None
        return sum(self.bytes_by_node.get(node, 0) for node in self.numa_nodes) / max(1, sum(self.bytes_by_node.values()))


M = TypeVar("M", bound=Memory)


def allocate(nbytes: int, *, gpu: Optional[GpuSpec] = None, local_rank: Union[int, str, None] = None, nodes: Optional[str] = None,
             memory: str = "preferred", huge_pages: bool = True, strict: bool = False, machine: Optional[Machine] = None, kind: Type[M] = Memory) -> M:  # type: ignore[assignment]
    """New zeroed memory on the nodes of a GPU, every page touched and looked up; use it as any buffer.

    Args:
        nbytes: size in bytes, rounded up to whole pages.
        gpu, local_rank, machine: as in bind().
        nodes: on these nodes instead: ``"0"``.
        memory: ``"preferred"`` (spills when the node is full) or ``"bind"`` (never elsewhere: the kernel may kill the process).
        huge_pages: ask for transparent huge pages.
        strict: raise Error when a page came to lie elsewhere, or that cannot be told.
        kind: a class derived from Memory.
    """
    if gpu is None and local_rank is None and nodes is None:
        local_rank = "auto"
    pages = -(-max(1, nbytes) // mmap.PAGESIZE)
    buffer = kind(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    document = call("place_memory", machine._handle.pointer if machine else None, buffer.address, len(buffer), request({
        "gpu": _gpu(gpu), "local_rank": local_rank, "nodes": nodes, "memory": memory, "huge_pages": huge_pages, "strict": strict,
        "env": _environment(machine)}))
    buffer.numa_nodes = document["numa_nodes"]
    buffer.bytes_by_node = _by_node(document["bytes_by_node"])
    buffer.warnings = document["warnings"] + [f"{loss['message']} ({loss['hint']})" for loss in document["losses"]]
    return buffer


def _by_node(document: Optional[Dict[str, int]]) -> Optional[Dict[int, int]]:
    return None if document is None else {int(node): count for node, count in document.items()}


def memory_nodes(buffer: Any) -> Dict[int, int]:
    """Node -> bytes of the pages that a writable buffer (numpy array, bytearray, Memory) lies on; whole pages count.

    Raises:
        Error: ``denied`` where the kernel does not tell (seccomp).
    """
    view = memoryview(buffer).cast("B")
    return memory_nodes_at(ctypes.addressof(ctypes.c_char.from_buffer(view)), view.nbytes)


def memory_nodes_at(address: int, nbytes: int) -> Dict[int, int]:
    """The same of [address, address + nbytes) of this process; pages that do not exist (yet) are left out."""
    return _by_node(call("memory_nodes", address, nbytes)["bytes_by_node"]) or {}
