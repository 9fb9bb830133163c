"""Containers under numapin oci-runtime on cgroup v2: crun and runc start them, and their first process says where it is."""
import json
import os
import shutil
import subprocess

from lab import case, id_list, read, see

COUNT = iter(range(1, 1000))
DOCKERS = "/docker/" + "a" * 64


def two_gpu_nodes(m):
    return {g.node for g in m.gpus} >= {0, 1}


def bundle(lab, args=None, env=(), cpus="", mems="", policy="", cgroup=None, with_usr=False):
    """A directory with config.json and a root that holds the probe, and what of /usr a dynamic program needs."""
    path = f"/run/bundle{next(COUNT)}"
    os.makedirs(path + "/rootfs/dev")
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/probe", "type": "bind", "source": lab.probe, "options": ["bind", "ro"]}]
    if with_usr:
        for link in "bin", "lib", "lib64", "sbin":
            os.symlink("usr/" + link, f"{path}/rootfs/{link}")
        mounts += [{"destination": d, "type": "bind", "source": d, "options": ["rbind", "ro"]} for d in ("/usr", "/sys")]
        mounts.append({"destination": "/numapin", "type": "bind", "source": lab.numapin, "options": ["bind", "ro"]})
    cpu = {k: v for k, v in (("cpus", cpus), ("mems", mems)) if v}
    config = {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "mounts": mounts,
              "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": args or ["/probe", "show", "4"], "env": ["PATH=/usr/bin", *env]},
              "annotations": {"numapin.policy": policy} if policy else {},
              "linux": {"cgroupsPath": cgroup or f"/containers/{next(COUNT)}", "resources": {"cpu": cpu},
                        "namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts")]}}
    with open(path + "/config.json", "w") as f:
        json.dump(config, f)
    return path


def runtime(lab, name, path, **env):
    binary = shutil.which(name, path="/usr/bin:/usr/sbin")
    if not binary:
        lab.skip(f"{name} is not installed")
    env = {"NUMAPIN_RUNTIME": binary, "NUMAPIN_RUNTIME_LOG": "/run/oci.log", "PATH": "/usr/bin:/usr/sbin:/bin", **env}
    return lab.command([lab.numapin, "oci-runtime", "--root", "/run/oci-state", "run", "-b", path, f"c{next(COUNT)}"], env=env)


def holds(lab, what, result, **want):
    """As lab.binds, of the process in a container."""
    seen = see(result)
    if not lab.expect(f"{what}: status", seen.status, want.pop("status", 0)):
        lab.wrong.append("  stderr: " + seen.err.strip()[:400])
    for name, value in want.items():
        lab.expect(f"{what}: {name}", getattr(seen, name), value)
    return seen


def gpu_of_node(m, node):
    return next(g for g in m.gpus if g.node == node)


def gpu(index):
    return [f"NVIDIA_VISIBLE_DEVICES={index}"]


def all_nodes(m):
    return id_list(range(len(m.nodes)))


@case("oci-runtime: a container is placed beside its GPU", on=two_gpu_nodes)
def placed(lab):
    m = lab.machine
    for node in (0, 1):
        g = gpu_of_node(m, node)
        near = dict(cpus=id_list(m.nodes[node]), policy=f"prefer (many)=static:{node}", on=str(node))
        holds(lab, f"crun, GPU {g.index}", runtime(lab, "crun", bundle(lab, env=gpu(g.index))), **near)
    holds(lab, "runc", runtime(lab, "runc", bundle(lab, env=gpu(g.index))), **near)
    strict = holds(lab, "strict", runtime(lab, "crun", bundle(lab, env=gpu(g.index), policy="strict")), mems=str(node), **near)
    lab.check("and nothing of it elsewhere", strict.share(node) == 1)
    holds(lab, "off", runtime(lab, "crun", bundle(lab, env=gpu(g.index), policy="off")), cpus=id_list(m.online), policy="default")
    holds(lab, "no GPU", runtime(lab, "crun", bundle(lab)), cpus=id_list(m.online), policy="default")


@case("oci-runtime: stays inside what the user and the cgroup above allow", on=two_gpu_nodes, slow=True)
def inside(lab):
    m = lab.machine
    g = gpu_of_node(m, 1)
    some = sorted(m.nodes[1])[:1] + sorted(m.nodes[0])[:1]
    holds(lab, "the user's cpus", runtime(lab, "crun", bundle(lab, env=gpu(g.index), cpus=id_list(some))), cpus=id_list(some[:1]))
    far = id_list(sorted(m.nodes[0])[:2])
    holds(lab, "the user's far cpus", runtime(lab, "crun", bundle(lab, env=gpu(g.index), cpus=far)), cpus=far, on="1")
    holds(lab, "the same, strict", runtime(lab, "crun", bundle(lab, env=gpu(g.index), cpus=far, policy="strict")), status=1)
    with lab.cgroup(cpuset_cpus=id_list(some), cpuset_mems=all_nodes(m)) as above:
        name = f"/{os.path.basename(above)}/inner"
        holds(lab, "the cgroup's cpus", runtime(lab, "crun", bundle(lab, env=gpu(g.index), cgroup=name)), cpus=id_list(some[:1]), on="1")


@case("oci-runtime: a policy means the same nodes in a cpuset that leaves some out", on=lambda m: len(m.nodes) >= 4 and two_gpu_nodes(m), slow=True)
def static_nodes(lab):
    m = lab.machine
    g = gpu_of_node(m, 1)
    mems = id_list(range(1, len(m.nodes)))
    for name in "crun", "runc":
        holds(lab, name, runtime(lab, name, bundle(lab, env=gpu(g.index), mems=mems, policy="memory=bind")), mems=mems, on="1", policy="bind=static:1")


@case("inside a container: run and doctor say what to change outside", on=two_gpu_nodes, slow=True)
def outside(lab):
    m = lab.machine
    g = gpu_of_node(m, 1)
    far, near = id_list(m.nodes[0]), id_list(m.nodes[1])
    run = ["/numapin", "run", "--gpu", str(g.index), "--", "/probe", "show", "1"]
    r = runtime(lab, "crun", bundle(lab, run, cpus=far, mems="0", cgroup=DOCKERS, with_usr=True))
    holds(lab, "run", r, cpus=far, on="0")
    lab.check(f"run names the flags: {r.stderr}", f"docker container aaaaaaaaaaaa; its cpuset can be changed from outside only: docker run "
                                                  f"--cpuset-cpus={near} --cpuset-mems=" in r.stderr)
    doctor = ["/numapin", "doctor", "--gpu", str(g.index)]
    r = runtime(lab, "crun", bundle(lab, doctor, cpus=far, mems="0", cgroup=DOCKERS, with_usr=True))
    text = " ".join(r.stdout.split())
    lab.check(f"doctor names the flag: {r.stdout} {r.stderr}", f"docker run --cpuset-mems=0-1" in text)


@case("inspect names the container of a process", on=two_gpu_nodes, slow=True)
def named(lab):
    path = bundle(lab, ["/probe", "hold", "1"], cgroup="/kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice/cri-containerd-" + "b" * 64 + ".scope")
    p = subprocess.Popen(["crun", "--root", "/run/oci-state", "run", "-b", path, f"c{next(COUNT)}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         env={"PATH": "/usr/bin:/usr/sbin:/bin"})
    try:
        lab.expect("start", p.stdout.readline(), "ready\n")
        pid = next(d for d in os.listdir("/proc") if d.isdigit() and read(f"/proc/{d}/comm") == "probe")
        out = lab.command([lab.numapin, "inspect", pid]).stdout
        lab.check(f"inspect: {out}", "in        pod 0123456789abcdef0123456789abcdef, container containerd bbbbbbbbbbbb" in out)
    finally:
        p.stdin.close()
        p.wait(timeout=30)
