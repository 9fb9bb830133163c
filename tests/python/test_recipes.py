"""The recipes of docs/python.md, as they stand there, with the libraries themselves, where this Python has them.

Each block marked `<!-- recipe: NAME -->` is run; it must print the verdict of numapin.torch.check() with workers, or of
numapin.inspect()."""
import importlib.util
import os
import re
import unittest

from support import ROOT, run_python, slow, two_cpus


def recipes():
    with open(os.path.join(ROOT, "docs/python.md")) as f:
        return dict(re.findall(r"<!-- recipe: (\w+) -->\n```python\n(.*?)```", f.read(), re.DOTALL))


DATA = """
import torch
class data(torch.utils.data.Dataset):
    def __len__(self): return 256
    def __getitem__(self, i): return torch.ones(8) * i, i % 2
dataset, model = data(), torch.nn.Linear(8, 2)
"""


class Recipes(unittest.TestCase):
    def recipe(self, name, *needs, before=DATA):
        for module in needs:
            if importlib.util.find_spec(module) is None:
                self.skipTest(f"this Python has no {module}")
        lines = before + recipes()[name]
        # `if __name__` is left out of the page for brevity; fork needs none
        return run_python("import io, json, sys\nsys.stdout, real = io.StringIO(), sys.stdout\n" + lines +
                          "\nprint(json.dumps(sys.stdout.getvalue()), file=real)\n")

    @slow
    @two_cpus
    def test_plain(self):
        self.assertRegex(self.recipe("plain", "torch"), r"rank 0 of 1: .* 4 workers on CPUs")

    @slow
    @two_cpus
    def test_accelerate(self):
        self.assertRegex(self.recipe("accelerate", "torch", "accelerate"), r"rank 0 of 1: .* 4 workers on CPUs")

    @slow
    @two_cpus
    def test_lightning(self):
        self.assertRegex(self.recipe("lightning", "torch", "lightning"), r"rank 0 of 1: .* 4 workers on CPUs")

    @slow
    @two_cpus
    def test_ray(self):
        self.assertRegex(self.recipe("ray", "ray", before=""), r"threads on CPUs|left as they were")


if __name__ == "__main__":
    unittest.main()
