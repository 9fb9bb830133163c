"""The Python package where there is more than one node: masks, pages, workers. guest/python_job.py is what runs."""
import json
import os

from lab import case, id_list

HERE = os.path.dirname(os.path.realpath(__file__))


def job(lab, *args, within="", status=0):
    library = os.path.join(os.path.dirname(os.path.realpath(lab.numapin)), "libnumapin.so.0")
    if not os.path.exists(library):
        lab.skip(f"no {library}")
    r = lab.command(["/usr/bin/python3", HERE + "/../guest/python_job.py", *map(str, args)], within=within,
                    env={"NUMAPIN_LIBRARY": library, "PYTHONPATH": HERE + "/../../../integrations/python", "PYTHONDONTWRITEBYTECODE": "1"})
    if not lab.expect(f"{args}: status ({r.stderr[-1500:]})", r.returncode, status) or status:
        return None
    return json.loads(r.stdout.splitlines()[-1])


def of_node(lab, node):
    return id_list(lab.machine.nodes[node])


@case("python bind(): every thread on the GPU's node, and what is touched from then on", on="small")
def bind(lab):
    seen = job(lab, "bind", 1, "leave", min(lab.machine.nodes[0]))
    if not seen:
        return
    lab.expect("threads", seen["threads"], 4)
    lab.expect("masks", seen["masks"], [of_node(lab, 1)])
    lab.expect("touched before, at first", seen["at_first"], {"0": 32})
    lab.expect("touched before, then", seen["before"], {"0": 32})
    lab.expect("touched after", seen["after"], {"1": 16})
    lab.check(f"it says that it is late: {seen['late']}", "that this process touched before are not on node 1; they stay there" in (seen["late"] or ""))
    lab.expect("torch's threads", seen["torch_threads"], 2)
    lab.check(f"check(): {seen['check']}", "GPU 1 on node 1: " in seen["check"] and "% of" in seen["check"] and "ok" not in seen["check"])


@case("python bind(migrate=True): what was touched before follows", on="small")
def migrate(lab):
    seen = job(lab, "bind", 1, "migrate", min(lab.machine.nodes[0]))
    if not seen:
        return
    lab.expect("touched before, then", seen["before"], {"1": 32})
    lab.check(f"{seen['moved_mib']} MiB moved", (seen["moved_mib"] or 0) >= 32)
    lab.expect("late", seen["late"], None)
    lab.check(f"check(): {seen['check']}", seen["check"].endswith(": ok"))


@case("python bind() where a cpuset leaves no CPU near the GPU", on="small", slow=True)
def cpuset(lab):
    with lab.cgroup(cpuset_cpus=of_node(lab, 0), cpuset_mems="0") as path:
        seen = job(lab, "bind", 1, "leave", min(lab.machine.nodes[0]), within=f"--cgroup {path}")
    if not seen:
        return
    lab.expect("masks", seen["masks"], [of_node(lab, 0)])
    lab.check(f"it says so: {seen['warnings']}", any("no allowed CPU" in w for w in seen["warnings"]))
    lab.expect("touched after", seen["after"], {"0": 16})


@case("python bind() where seccomp refuses what docker's default profile refuses", on="small")
def seccomp(lab):
    seen = job(lab, "bind", 1, "migrate", min(lab.machine.nodes[0]), within="--refuse set_mempolicy,migrate_pages,move_pages,mbind")
    if not seen:
        return
    lab.expect("masks", seen["masks"], [of_node(lab, 1)])
    lab.check("where pages are is not told", seen["after"] is None and "move_pages" in seen["error"])
    for call in "set_mempolicy", "migrate_pages":
        lab.check(f"{call} is among {seen['losses']}", any(call in loss and "SYS_NICE" in loss for loss in seen["losses"]))
    lab.check(f"late: {seen['late']}", "could not be moved" in (seen["late"] or ""))


@case("python workers by fork: apart from the main process, memory on the GPU's node", on="small")
def fork(lab):
    workers(lab, "fork")


@case("python workers by {}, which start anew", on="small", each=lambda machine: ["spawn", "forkserver"], slow=True)
def workers(lab, start):
    seen = job(lab, "workers", start, 1, "old-server" if start == "forkserver" else "-", min(lab.machine.nodes[0]))
    if not seen:
        return
    lab.expect("main and worker CPUs", set(seen["main"]) | set(seen["worker"]), lab.machine.nodes[1])
    lab.check("they are apart", not set(seen["main"]) & set(seen["worker"]))
    lab.check("both are whole cores", set(seen["worker"]) in lab.machine.siblings)
    lab.expect("masks of the main process", seen["masks"], [id_list(seen["main"])])
    for w in seen["workers"]:
        lab.expect("masks of a worker", w["masks"], [id_list(seen["worker"])])
        lab.expect("pages of a worker", w["nodes"], {"1": 8})
        lab.expect("threads of a worker", w["threads"], 1)
        if start != "fork":
            lab.expect("what it unpickled before its init function ran", w["payload"], {"1": 8})
    lab.check(f"check(): {seen['check']}", seen["ok"] and f"{len(seen['workers'])} workers on CPUs" in seen["check"])


@case("python allocate(): pages on the GPU's node, whoever asks", on="small")
def allocate(lab):
    far = min(lab.machine.nodes[0])
    seen = job(lab, "allocate", 1, far, 16)
    if seen:
        lab.expect("told", seen["told"], {"1": 16 << 20})
        lab.expect("numa_maps", seen["numa_maps"], {"1": str((16 << 20) // 4096)})
        lab.check(f"policy {seen['policy']}", seen["policy"].startswith("prefer"))
        lab.expect("the caller's mask", seen["mask"], [str(far)])
    seen = job(lab, "allocate", 1, far, 16, within="--refuse mbind")
    if seen:
        lab.expect("without mbind, by first touch: told", seen["told"], {"1": 16 << 20})
        lab.check(f"it says so: {seen['warnings']}", any("mbind" in w for w in seen["warnings"]))
    seen = job(lab, "allocate", 1, far, 16, within="--refuse move_pages")
    if seen:
        lab.expect("without move_pages: told", (seen["told"], seen["share"]), (None, None))
        lab.check(f"it says so: {seen['warnings']}", any("move_pages" in w for w in seen["warnings"]))
