"""Real DataLoaders: where their workers may run, as /proc tells, with each start method. Needs torch (1.13 or later)."""
import importlib.util
import os
import unittest

import numapin
from numapin import _ids
from support import run_python, slow, two_cpus

if importlib.util.find_spec("torch") is None:
    raise unittest.SkipTest("this Python has no torch (Debian: python3-torch)")

FIRST, SECOND = (sorted(os.sched_getaffinity(0)) * 2)[:2]
HEAD = """
import json, os, re, sys, threading
sys.path.insert(0, %r)
from support import masks
import torch, numapin, numapin.torch
from torch.utils.data import DataLoader, Dataset

class Who(Dataset):
    '''Each item is its worker: process and thread count; what the worker may do is read from /proc by the main process.'''
    def __len__(self): return 64
    def __getitem__(self, i): return torch.tensor([os.getpid(), torch.get_num_threads(), int(os.environ.get('OMP_NUM_THREADS', 0))])

class Busy(Who):
    '''Its workers compute with as many threads as they may.'''
    def __getitem__(self, i):
        torch.rand(1 << 22).exp().sum()
        return super().__getitem__(i)

def workers(loader):
    '''pid -> [masks of its threads, torch threads, OMP_NUM_THREADS, memory policy], while they live.'''
    found, batches = {}, iter(loader)
    for batch in batches:
        for pid, threads, omp in batch.tolist():
            if pid in found: continue
            with open(f'/proc/{pid}/numa_maps') as f: policy = f.readline().split()[1]
            found[pid] = [sorted(set(masks(pid).values())), threads, omp, policy]
    return found
""" % os.path.dirname(os.path.realpath(__file__))


def script(body):
    return HEAD + "\nif __name__ == '__main__':\n" + "\n".join("    " + line for line in body.strip().splitlines())


class Loaders(unittest.TestCase):
    def eight(self, start):
        seen = run_python(script("""
torch.set_num_threads(64)
b = numapin.bind(worker_cores=1)
loader = DataLoader(Who(), batch_size=2, persistent_workers=True, multiprocessing_context=sys.argv[1],
                    **numapin.torch.dataloader_kwargs(num_workers=8))
first, again = workers(loader), workers(loader)
main_cores = sum(1 for core in numapin.machine().cores if set(core) & set(b.main_cpus))
print(json.dumps([b.main_cpus, b.worker_cpus, sorted(set(masks().values())), first, sorted(first) == sorted(again), os.getpid(), torch.get_num_threads(), main_cores]))
"""), start)
        main, worker, own, found, same, pid, main_threads, main_cores = seen
        self.assertEqual(len(found), 8)
        self.assertTrue(same, "persistent workers are the same in the second epoch")
        self.assertEqual([_ids.parse(mask) for mask in own], [main])
        self.assertNotIn(str(pid), found)
        self.assertEqual(main_threads, main_cores, "torch's threads shrink with the cores")
        for masks, threads, omp, _ in found.values():
            self.assertEqual([_ids.parse(mask) for mask in masks], [worker], "apart from the main process")
            self.assertEqual((threads, omp), (1, 1))

    @two_cpus
    def test_fork(self):
        self.eight("fork")

    @slow
    @two_cpus
    def test_spawn(self):
        self.eight("spawn")

    @slow
    @two_cpus
    def test_forkserver(self):
        self.eight("forkserver")

    @slow
    @two_cpus
    def test_forkserver_that_is_older_than_bind(self):
        """Its children inherit the mask of before; the policy too."""
        seen = run_python(script("""
import multiprocessing
p = multiprocessing.get_context('forkserver').Process(target=int); p.start(); p.join()
numapin.bind(cpulist=sys.argv[1])
os.environ['NUMAPIN_WORKER_CPUS'] = sys.argv[2]
loader = DataLoader(Who(), batch_size=8, multiprocessing_context='forkserver', **numapin.torch.dataloader_kwargs(num_workers=2, memory='bind'))
print(json.dumps(list(workers(loader).values())))
"""), FIRST, SECOND)
        self.assertEqual([m for m, *_ in seen], [[str(SECOND)]] * 2)

    @slow
    @two_cpus
    def test_several_loaders_at_once_and_a_function_of_the_users(self):
        seen = run_python(script("""
numapin.bind(worker_cores=1)
calls = torch.zeros(8).share_memory_()
def mine(worker): calls[worker] += 1
make = lambda n, **more: DataLoader(Who(), batch_size=4, persistent_workers=True, **numapin.torch.dataloader_kwargs(num_workers=n, **more))
a, b = make(2, worker_init_fn=mine), make(3, threads=2)
x, y = iter(a), iter(b)
next(x), next(y)
both = [*workers(a).items(), *workers(b).items()]
print(json.dumps([len(dict(both)), sorted({str(v[0]) for _, v in both}), sorted({v[1] for _, v in both}), calls.tolist()[:3], str(numapin.torch.check()), bool(numapin.torch.check())]))
"""))
        self.assertEqual(seen[0], 5)
        self.assertEqual(len(seen[1]), 1)
        self.assertEqual(seen[2], [1, 2])
        self.assertEqual(seen[3], [1, 1, 0])
        self.assertRegex(seen[4], r"^rank 0 of 1: (no GPU|GPU 0 on node 0): \d+ threads? on CPUs \S+ \(node 0\); 100 % of \S+ [MG]iB on node 0; 5 workers on CPUs \S+ \(node 0\): ok$")
        self.assertTrue(seen[5])

    @slow
    @two_cpus
    def test_iterated_in_a_thread_that_is_not_the_main_one(self):
        seen = run_python(script("""
os.environ['NUMAPIN_WORKER_CPUS'] = sys.argv[1]
loader = DataLoader(Who(), batch_size=8, worker_init_fn=numapin.torch.worker_init_fn, num_workers=2)
found = []
t = threading.Thread(target=lambda: found.extend(workers(loader).values())); t.start(); t.join()
print(json.dumps([m for m, *_ in found]))
"""), SECOND)
        self.assertEqual(seen, [[str(SECOND)]] * 2)


    @slow
    @two_cpus
    def test_forked_workers_of_a_parent_that_used_openmp_go_on(self):
        """With two threads they hang: GNU OpenMP's threads are not there after fork()."""
        both = f"{FIRST},{SECOND}"
        for start, threads in (("fork", 1), ("spawn", 2)):
            seen = run_python(script("""
torch.set_num_threads(2)
torch.rand(1 << 22).exp().sum()
os.environ['NUMAPIN_WORKER_CPUS'] = sys.argv[1]
loader = DataLoader(Busy(), batch_size=2, multiprocessing_context=sys.argv[2], **numapin.torch.dataloader_kwargs(num_workers=1))
print(json.dumps(next(iter(loader)).tolist()[0]))
"""), both, start, timeout=120)
            self.assertEqual(seen[1:], [threads, threads], start)


class Shares(unittest.TestCase):
    """Who gets which cores, on recorded machines."""

    def shares(self, workers, machine="dual-a100", **options):
        import numapin.torch as nt
        init = nt.dataloader_kwargs(num_workers=workers, cpus="node", machine=numapin.machine(machine), **options)["worker_init_fn"]
        return init, [nt._share(init.cores, w, workers, init.spread) for w in range(workers)]

    def test_cores_of_their_own_where_there_are_two_for_each(self):
        init, shares = self.shares(4, gpu=5)  # 12 cores: 3 for the main process, 9 for workers
        near = set(numapin.cpus(5, machine=numapin.machine("dual-a100")))
        self.assertEqual((len(init.cores), init.nodes), (9, "1"))
        self.assertEqual([threads for _, threads in shares], [3, 2, 2, 2])
        taken = [cpu for cpus, _ in shares for cpu in cpus]
        self.assertEqual((len(taken), len(set(taken))), (18, 18))
        self.assertTrue(set(taken) <= near)
        for cpus, _ in shares:  # both hyper-threads of a core go to one worker
            self.assertEqual({c % 24 for c in cpus if c >= 24}, {c for c in cpus if c < 24})

    def test_all_share_all_where_there_are_fewer(self):
        init, shares = self.shares(8, gpu=0)
        self.assertEqual({len(cpus) for cpus, _ in shares}, {18})
        self.assertEqual({threads for _, threads in shares}, {1})

    def test_own_is_kept_down_to_one_core(self):
        self.assertEqual([len(cpus) for cpus, _ in self.shares(9, gpu=0, spread="own")[1]], [2] * 9)
        self.assertEqual({len(cpus) for cpus, _ in self.shares(10, gpu=0, spread="own")[1]}, {18})

    def test_default_number(self):
        import numapin.torch as nt
        kwargs = nt.dataloader_kwargs(gpu=0, machine=numapin.machine("dual-a100"))  # 3 of the node's 12 cores are its share
        self.assertEqual(len(kwargs["worker_init_fn"].cores), 2)
        quota = numapin.cpu_quota()
        self.assertEqual(kwargs["num_workers"], 2 if quota is None else max(1, min(2, int(quota) - 1)))
        with self.assertRaises(numapin.Error):
            nt.dataloader_kwargs(spread="wide")


class Tensors(unittest.TestCase):
    def test_placed_tensor(self):
        import torch
        import numapin.torch as nt
        t = nt.pinned_empty((256, 1024), torch.float16, pin=False)
        self.assertEqual((t.shape, t.dtype, float(t.sum())), ((256, 1024), torch.float16, 0))
        self.assertEqual(nt.tensor_nodes(t), {0: 512 * 1024})
        view = t[1:3]
        del t
        view.fill_(2)  # the storage lives as long as a view does
        self.assertEqual(float(view.sum()), 4096)
        self.assertEqual(nt.pinned_empty(0, pin=False).numel(), 0)
        if not torch.cuda.is_available():
            with self.assertRaises(numapin.Error) as caught:
                nt.pinned_empty(1)
            self.assertEqual(caught.exception.code, "unsupported")


if __name__ == "__main__":
    unittest.main()
