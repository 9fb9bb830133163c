"""A node full of page cache: preferred memory spills in silence, unless room is made; nobody pays for it."""
import contextlib
import re

from lab import case, node_mib, read


def fill_cache(lab, node, mib, skip_mib=0):
    """Reads a file, as a process of this node: its pages stay there, clean."""
    lab.tool(["numactl", "-N", str(node), "-m", str(node), "dd", f"if={lab.zeroes}", "of=/dev/null", "bs=1M",
              f"count={mib}", f"skip={skip_mib}"])


@contextlib.contextmanager
def filled(lab, node, anonymous_mib, cache_mib):
    """The node has almost no free page: `anonymous_mib` of a process, clean page cache in the rest."""
    lab.drop_caches()
    with lab.holding(anonymous_mib, node) as holder:
        fill_cache(lab, node, cache_mib)
        yield holder
        holder.stdin.close()
        lab.expect("pages of a process that was there before", holder.stdout.read(), f"pages {node}:{anonymous_mib * 256}\n")
    lab.drop_caches()


def swapped_out():
    return int(re.search(r"pswpout (\d+)", read("/proc/vmstat"))[1])


def killed():
    return int(re.search(r"oom_kill (\d+)", read("/proc/vmstat"))[1])


@case("a node full of page cache", on="small")
def page_cache(lab):
    with filled(lab, 0, 500, 600):
        lab.check(f"the node is full: {node_mib(0, 'MemFree'):.0f} MiB free", node_mib(0, "MemFree") < 110)
        # MPOL_PREFERRED goes on to the next node at once. PREFERRED_MANY, our default, tries again after it woke kswapd,
        # and on a quiet guest that keeps pace with the job: a spill cannot be had at will
        seen = lab.run("-N 0 -p 0 --make-room off", mib=150)
        lab.check(f"without room preferred memory spills: {seen.pages} {seen.err}", seen.share(0) < 0.8)
        for skip, options in (600, "-N 0 -p 0"), (1000, "--gpu 0"):
            fill_cache(lab, 0, 400, skip)
            seen = lab.run(f"{options} --make-room 200M", mib=150)
            lab.expect("status", seen.status, 0)
            lab.check(f"run {options}: with room it is local: {seen.pages} {seen.err}", seen.share(0) >= 0.95)
            lab.check(f"run {options}: it says so: {seen.err}", re.search(r"(?i)room|freed", seen.err))


@case("--make-room auto, the default", on="small")
def automatic(lab):
    with filled(lab, 0, 500, 600):
        seen = lab.run("--gpu 0", mib=100)
        lab.check(f"pages are local: {seen.pages} {seen.err}", seen.status == 0 and seen.share(0) >= 0.95)


@case("--make-room neither kills nor pushes out a process", on="small", slow=True)
def nearly_full(lab):
    lab.tool("/.lab/busybox insmod /.lab/brd.ko rd_nr=1 rd_size=262144")
    lab.tool("mkswap /dev/ram0")
    lab.tool("swapon /dev/ram0")
    try:
        for anonymous, cache in ((840, 60), (600, 400)):
            with filled(lab, 0, anonymous, cache):
                before = swapped_out(), killed()
                for size in "auto", "100M", "4G":
                    seen = lab.run(f"--gpu 0 --make-room {size}", mib=1)
                    lab.expect(f"--make-room {size} with {anonymous} MiB of a process: status", seen.status, 0)
                lab.expect(f"pages swapped out, processes killed ({anonymous} MiB of a process)", (swapped_out(), killed()), before)
            if anonymous > 800:
                lab.check(f"it says what is free and reclaimable: {seen.err}", re.search(r"(?i)free.*reclaim", seen.err))
    finally:
        lab.tool("swapoff /dev/ram0")
