"""examples/train_ddp.py, the same command line under every launcher (under a real srun: tests/slurm/run)."""
import importlib.util
import os
import subprocess
import sys
import unittest

from support import PROGRAM, ROOT, clean_environment, run, slow

if importlib.util.find_spec("torch") is None:
    raise unittest.SkipTest("this Python has no torch (Debian: python3-torch)")

SCRIPT = os.path.join(ROOT, "examples/train_ddp.py")
TINY = ["--model", "tiny", "--steps", "4", "--warmup", "1", "--batch-size", "8", "--workers", "1"]
if ROOT + "/examples" not in sys.path:
    sys.path.insert(0, ROOT + "/examples")


class Example(unittest.TestCase):
    def reached(self, out, world):
        self.assertRegex(out, rf"throughput \d+\.\d samples/s \({world} ranks, tiny")
        for rank in range(world):
            self.assertRegex(out, rf"rank {rank} of {world}: no GPU: \d+ threads? on CPUs .*; 1 worker on CPUs \S+ \(node 0\): ok")

    @slow
    def test_alone(self):
        r = run([sys.executable, SCRIPT, *TINY])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.reached(r.stdout, 1)

    @slow
    def test_without_numapin(self):
        r = run([sys.executable, SCRIPT, *TINY], PYTHONPATH="")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("throughput", r.stdout)

    @slow
    def test_under_launch(self):
        r = run([PROGRAM, "launch", "-q", "--nproc", "2", "--", sys.executable, SCRIPT, *TINY])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.reached(r.stdout, 2)

    @slow
    def test_under_torchrun(self):
        import torch
        if torch.__version__ < "2":
            self.skipTest("torchrun of Debian's torch 1.13 does not run on Python 3.11")
        r = run([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", SCRIPT, *TINY])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.reached(r.stdout, 2)

    @slow
    def test_as_two_tasks_of_a_slurm_step(self):
        step = dict(SLURM_STEP_ID=0, SLURM_JOB_ID=os.getpid(), SLURM_STEP_NODELIST="localhost", SLURM_NTASKS=2)
        tasks = [subprocess.Popen([sys.executable, SCRIPT, *TINY], env=clean_environment(**step, SLURM_PROCID=i, SLURM_LOCALID=i),
                                  stdout=subprocess.PIPE, text=True) for i in range(2)]
        out = "".join(t.communicate(timeout=250)[0] for t in tasks)
        self.assertEqual([t.returncode for t in tasks], [0, 0])
        self.reached(out, 2)

    def test_first_host_of_a_slurm_list(self):
        import train_ddp
        for text, host in (("gpu[03-05,7],login", "gpu03"), ("a1,b[1-2]", "a1"), ("localhost", "localhost"), ("n[12]", "n12")):
            self.assertEqual(train_ddp.first_host(text), host)


if __name__ == "__main__":
    unittest.main()
