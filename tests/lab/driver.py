"""Runs in the guest: all cases of one machine, one after the other; one line of JSON an event on stdout."""
import glob
import importlib
import json
import os
import re
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, HERE + "/cases"]
import lab  # noqa: E402
from machines import MACHINES  # noqa: E402


def tell(**event):
    print(json.dumps(event), flush=True)


def run_one(function, case_lab, arguments):
    case_lab.wrong, case_lab.notes = [], []
    try:
        function(case_lab, *arguments)
    except lab.Skip as e:
        return "skip", [str(e)]
    except Exception:
        case_lab.wrong.append(traceback.format_exc(limit=-3))
    return ("FAIL" if case_lab.wrong else "ok"), case_lab.wrong


def main():
    job = json.loads(sys.argv[1])
    machine = MACHINES[job["machine"]]
    the_lab = lab.Lab(machine, job["kernel"], job["numapin"], job["probe"], job["triad"], job["zeroes"], job["quick"])
    for f in sorted(glob.glob(HERE + "/cases/*.py")):
        importlib.import_module(os.path.basename(f)[:-3])
    for case in lab.CASES:
        if not case.serves(machine, job["quick"]):
            continue
        for name, arguments in case.items(machine):
            if not re.search(job["only"], name):
                continue
            tell(begin=name)
            start = time.monotonic()
            result, why = run_one(case.run, the_lab, arguments)
            tell(end=name, result=result, why=why, notes=the_lab.notes, seconds=round(time.monotonic() - start, 2))
    if job["snapshot"]:
        the_lab.numapin_out("snapshot /run/lab.snap")
        tell(snapshot=lab.read("/run/lab.snap") + "\n")
    tell(done=True)


if __name__ == "__main__":
    main()
