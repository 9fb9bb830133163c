"""`pip install .` without network: into a directory of its own, by Debian's Python and by the machine's own."""
import glob
import os
import shutil
import sys
import tempfile
import unittest

from support import ROOT, run


def pythons():
    """Every Python here that has pip, each once."""
    found = {}
    for path in [sys.executable, "/usr/bin/python3"] + [os.path.join(d, "python3") for d in os.environ["PATH"].split(":")]:
        r = run([path, "-c", "import sys, pip; print(sys.base_prefix)"]) if os.access(path, os.X_OK) else None
        if r and r.returncode == 0:
            found.setdefault(r.stdout.strip(), path)
    return list(found.values())


class Install(unittest.TestCase):
    def test_pip_install_without_network(self):
        found = pythons()
        if not found:
            self.skipTest("no Python here has pip (Debian: python3-pip)")
        for python in found:
            with self.subTest(python), tempfile.TemporaryDirectory() as d:
                tree = shutil.copytree(os.path.join(ROOT, "integrations/python"), os.path.join(d, "tree"))  # pip writes beside its sources
                site = os.path.join(d, "site")
                r = run([python, "-m", "pip", "install", "--no-index", "--no-deps", "--target", site, tree])
                self.assertEqual(r.returncode, 0, r.stderr)
                self.assertTrue(glob.glob(site + "/numapin-*.dist-info"), os.listdir(site))
                self.assertTrue(os.path.exists(site + "/numapin/py.typed"))
                r = run([python, "-c", "import numapin; print(numapin.__file__, numapin.library_version())"], PYTHONPATH=site)
                self.assertEqual(r.stdout.split(), [site + "/numapin/__init__.py", "0.1.0"], r.stderr)


if __name__ == "__main__":
    unittest.main()
