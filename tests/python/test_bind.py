"""bind() in processes of its own; what is true is read from /proc."""
import os
import unittest

from support import run_python, two_cpus

FIRST, SECOND = (sorted(os.sched_getaffinity(0)) * 2)[:2]
HEAD = "import json, os, subprocess, sys, threading\nsys.path.insert(0, %r)\nfrom support import masks\nimport numapin\n" % os.path.dirname(
    os.path.realpath(__file__))


class Bind(unittest.TestCase):
    def bind(self, code, *args, **env):
        return run_python(HEAD + code, *args, **env)

    @two_cpus
    def test_every_thread_and_what_they_start(self):
        seen = self.bind("""
gate = threading.Event()
old = [threading.Thread(target=gate.wait) for _ in range(5)]
for t in old: t.start()
b = numapin.bind(cpulist=sys.argv[1])
new = threading.Thread(target=gate.wait); new.start()
child = subprocess.run([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"], stdout=subprocess.PIPE, text=True).stdout
print(json.dumps([b.threads, len(masks()), sorted(set(masks().values())), child.split(), str(b)]), flush=True)
gate.set()
""", SECOND)
        self.assertEqual(seen[:4], [6, 7, [str(SECOND)], [str(SECOND)]])
        self.assertIn(f"6 threads on CPUs {SECOND}", seen[4])

    @two_cpus
    def test_from_a_thread_that_is_not_the_main_one(self):
        seen = self.bind("""
def work():
    numapin.bind(cpulist=sys.argv[1], nodes="0")
    with open(f"/proc/self/task/{threading.get_native_id()}/numa_maps") as f: mine.append(f.readline().split()[1])
mine = []
t = threading.Thread(target=work); t.start(); t.join()
print(json.dumps([sorted(set(masks().values())), mine[0]]))
""", SECOND)
        self.assertEqual(seen[0], [str(SECOND)], "masks reach every thread")
        self.assertTrue(seen[1].startswith("prefer"), seen[1])

    @two_cpus
    def test_a_pinned_main_thread_does_not_narrow_the_rest(self):
        """OMP_PROC_BIND pins the main thread: the process may use more than that thread."""
        seen = self.bind("""
gate = threading.Event()
t = threading.Thread(target=gate.wait); t.start()
os.sched_setaffinity(0, {int(sys.argv[1])})
b = numapin.bind()
print(json.dumps([b.cpus, masks()[t.native_id]])); gate.set()
""", FIRST)
        self.assertEqual(seen[0], sorted(os.sched_getaffinity(0)))

    @two_cpus
    def test_binds_again_as_wide_as_before(self):
        everything = sorted(os.sched_getaffinity(0))
        seen = self.bind("""
numapin.bind(cpulist=sys.argv[1])
narrow = list(masks().values())
b = numapin.bind()
child = subprocess.run([sys.executable, "-c", "import numapin; numapin.bind(cpulist=%r); print(len(numapin.bind().cpus))" % sys.argv[1]],
                       stdout=subprocess.PIPE, text=True).stdout
print(json.dumps([narrow, b.cpus, int(child)]))
""", FIRST)
        self.assertEqual(seen, [[str(FIRST)], everything, len(everything)])

    @two_cpus
    def test_stays_within_what_taskset_left(self):
        code = "print(json.dumps([numapin.bind().cpus, numapin.cpus(), numapin.bind().cpus]))"
        self.assertEqual(run_python(HEAD + code, before=["taskset", "-c", str(SECOND)]), [[SECOND]] * 3)
        # a child that another narrowed after bind() is not widened again
        self.assertEqual(self.bind("""
numapin.bind()
print(subprocess.run(["taskset", "-c", sys.argv[1], sys.executable, "-c", "import numapin; print(numapin.bind().cpus)"], stdout=subprocess.PIPE, text=True).stdout, end="")
""", SECOND), [SECOND])

    @two_cpus
    def test_worker_cores_are_set_apart(self):
        seen = self.bind("""
b = numapin.bind(worker_cores=1)
print(json.dumps([b.main_cpus, b.worker_cpus, sorted(set(masks().values())), os.environ["NUMAPIN_WORKER_CPUS"], numapin.bind(worker_cores=1).main_cpus]))
""")
        self.assertFalse(set(seen[0]) & set(seen[1]))
        self.assertEqual((len(seen[2]), seen[3], seen[4]), (1, ",".join(map(str, seen[1])), seen[0]))

    def test_a_share_for_each_rank_without_gpus(self):
        seen = self.bind("print(json.dumps([numapin.bind().verdict, numapin.bind(local_rank=0, local_size=1).cpus]))",
                         LOCAL_RANK=0, LOCAL_WORLD_SIZE=1)
        self.assertEqual(seen[1], sorted(os.sched_getaffinity(0)))

    def test_says_what_was_refused(self):
        seen = self.bind("""
b = numapin.bind(cpulist="4095")
try: numapin.bind(cpulist="4095", strict=True); e = None
except numapin.Error as error: e = [error.code, error.message]
print(json.dumps([b.complete, b.losses, e]))
""")
        self.assertFalse(seen[0])
        self.assertIn("4095", seen[1][0])
        self.assertIn("4095", seen[2][1])


if __name__ == "__main__":
    unittest.main()
