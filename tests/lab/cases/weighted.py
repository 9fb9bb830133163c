"""Weighted interleave: kernel 6.9 and later."""
from lab import case, write

WEIGHTS = "/sys/kernel/mm/mempolicy/weighted_interleave"


def two_nodes(m):
    return len(m.nodes) > 1


@case("weighted interleave", on=two_nodes)
def weighted(lab):
    if lab.kernel == "6.1":
        lab.binds("-w 0-1", status=3, says=r"(?i)weighted.*(kernel|6\.9)")
        return
    write(f"{WEIGHTS}/node0", "3")
    write(f"{WEIGHTS}/node1", "1")
    seen = lab.binds("-w 0-1", policy="weighted interleave:0-1", on="0-1")
    lab.check(f"weights 3:1 put {seen.pages}", 0.7 < seen.share(0) < 0.8)
    lab.binds("--weighted-interleave=all", policy=f"weighted interleave:0-{len(lab.machine.nodes) - 1}")


@case("--memory weighted-interleave on a kernel without it", on=lambda m: two_nodes(m) and m.gpus and m.gpus[0].node is not None)
def fallback(lab):
    if lab.kernel != "6.1":
        lab.skip("this kernel has it")
    lab.binds("--gpu 0 --memory weighted-interleave", says=r"(?i)weighted.*(kernel|6\.9|Invalid argument)")
    lab.binds("--gpu 0 --memory weighted-interleave --strict", status=3)  # not supported here
