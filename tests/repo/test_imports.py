"""Every module can be imported alone, as the first one of a fresh interpreter."""

import subprocess
import sys

from tests.repo.tree import ROOT, modules

# One process per module would start Python each time; a fork of an interpreter that has imported nothing yet is as fresh.
IMPORT_EACH = """
import os, sys, traceback
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            __import__(name)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit("can't be imported alone: " + ", ".join(failed) if failed else 0)
"""


def test_every_module_can_be_imported_alone_and_without_a_warning() -> None:
    names = sorted(modules())
    python = [sys.executable, "-W", "error", "-c", IMPORT_EACH]
    halves = [subprocess.Popen([*python, *half], cwd=ROOT, stderr=subprocess.PIPE, text=True) for half in (names[::2], names[1::2])]
    complaints = [half.communicate()[1] for half in halves]
    assert [half.returncode for half in halves] == [0, 0], "\n".join(complaints)
