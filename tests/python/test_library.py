"""Finding and calling libnumapin.so, and what comes back."""
import os
import pickle
import re
import sys
import tempfile
import threading
import unittest

import numapin
from numapin import _cgroup, _ids
from support import ROOT, run


class Library(unittest.TestCase):
    def test_versions_agree(self):
        with open(os.path.join(ROOT, "CMakeLists.txt")) as f:
            declared = re.search(r"project\(numapin VERSION (\S+)", f.read())[1]
        self.assertEqual((numapin.__version__, numapin.library_version()), (declared, declared))

    def load(self, **env):
        return run([sys.executable, "-c", "import numapin; print(numapin.library_version())"], **env)

    def test_named_library_is_the_only_one_tried(self):
        r = self.load(NUMAPIN_LIBRARY="/no/such/lib.so")
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("load libnumapin.so.0: /no/such/lib.so: no such file", r.stderr)
        self.assertIn("hint: install numapin", r.stderr)

    def test_another_library_is_refused(self):
        self.assertIn("it has no numapin_", self.load(NUMAPIN_LIBRARY="libm.so.6").stderr)

    def test_found_beside_the_package(self):
        with tempfile.TemporaryDirectory() as site:
            os.symlink(os.path.join(ROOT, "integrations/python/numapin"), os.path.join(site, "numapin"))
            r = run([sys.executable, "-c", "import numapin; print(numapin._library._candidates())"], PYTHONPATH=site, NUMAPIN_LIBRARY="")
            self.assertIn("libnumapin.so.0", r.stdout)

    def test_errors_carry_code_message_and_hint(self):
        with self.assertRaises(numapin.Error) as caught:
            numapin.plan("9", machine=numapin.machine("dual-a100"))
        e = caught.exception
        self.assertEqual(e.code, "not-found")
        self.assertIn("9", e.message)
        self.assertIn("hint: ", str(e))
        again = pickle.loads(pickle.dumps(e))
        self.assertEqual((again.code, again.message, again.hint), (e.code, e.message, e.hint))
        for wrong in (lambda: numapin.machine("/no/such"), lambda: numapin.inspect(4194304)):
            self.assertRaises(numapin.Error, wrong)

    def test_threads_do_not_mix_their_errors(self):
        dual, wrong = numapin.machine("dual-a100"), []

        def use(name):
            for _ in range(50):
                try:
                    numapin.plan(name, machine=dual)
                    wrong.append("no error")
                except numapin.Error as e:
                    if name not in e.message:
                        wrong.append(e.message)

        threads = [threading.Thread(target=use, args=(f"GPU-none-{i}",)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Values(unittest.TestCase):
    def test_machine(self):
        dual = numapin.machine("dual-a100")
        self.assertEqual([g.numa_nodes for g in dual.gpus], [[0]] * 4 + [[1]] * 4)
        self.assertEqual(dual.nodes[1].cpus, [*range(12, 24), *range(36, 48)])
        self.assertEqual(dual.cores[0], [0, 24])
        here = numapin.machine()
        self.assertEqual(set(here.allowed_cpus), os.sched_getaffinity(0))

    def test_plan_and_cpus(self):
        dual = numapin.machine("dual-a100")
        ranks = numapin.plan(machine=dual).placements
        self.assertEqual([p.gpus for p in ranks], [[i] for i in range(8)])
        self.assertEqual(len({cpu for p in ranks for cpu in p.cpus}), sum(len(p.cpus) for p in ranks))
        one = numapin.plan([4, "5"], per_gpu=False, worker_cores="auto", cpus="node", machine=dual).placements[0]
        self.assertEqual(sorted(one.main_cpus + one.worker_cpus), dual.nodes[1].cpus)
        self.assertEqual(numapin.cpus(5, machine=dual), dual.nodes[1].cpus)
        self.assertEqual(numapin.cpus(5, smt=False, machine=dual), list(range(12, 24)))

    def test_id_lists(self):
        self.assertEqual(_ids.parse("0-3,8\n"), [0, 1, 2, 3, 8])
        self.assertEqual(_ids.to_list([8, 3, 1, 2, 0, 8]), "0-3,8")
        self.assertEqual((_ids.parse(""), _ids.to_list([])), ([], ""))

    def test_allocate(self):
        memory = numapin.allocate(10 << 20, nodes="0", strict=True)
        self.assertEqual((memory.local_share, numapin.memory_nodes(memory)), (1.0, {0: 10 << 20}))
        self.assertEqual(bytes(memory[:4096]), bytes(4096))
        memory[5] = 7
        with self.assertRaises(numapin.Error):
            numapin.allocate(1, nodes="77")

    def test_inspect_sees_this_process(self):
        found = numapin.inspect(memory=False)
        self.assertEqual(found.processes[0].pid, os.getpid())
        self.assertEqual({cpu for cpus in found.processes[0].thread_cpus for cpu in cpus} & set(numapin.machine().allowed_cpus),
                         os.sched_getaffinity(0))


class Quota(unittest.TestCase):
    """A container that sees every CPU and gets the time of a few."""

    def quota(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w") as f:
                    f.write(text)
            return _cgroup.cpu_quota(root)

    def test_v2_least_of_all_levels(self):
        self.assertEqual(self.quota({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                                     "sys/fs/cgroup/a/cpu.max": "250000 100000\n"}), 2.5)

    def test_v2_path_of_the_host_seen_from_a_container(self):
        self.assertEqual(self.quota({"proc/self/cgroup": "0::/../../docker/x\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}), 4)

    def test_v1(self):
        self.assertEqual(self.quota({"proc/self/cgroup": "4:cpu,cpuacct:/job\n3:memory:/job\n",
                                     "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n",
                                     "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}), 3)

    def test_none(self):
        self.assertIsNone(self.quota({"proc/self/cgroup": "0::/\n4:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                                      "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}))
        self.assertIsNone(self.quota({}))


if __name__ == "__main__":
    unittest.main()
