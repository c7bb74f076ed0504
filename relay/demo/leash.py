"""A program that dies with its parent: asks the kernel for a SIGTERM at the parent's death, then becomes the program named.

Run as a script of its own (`python -I leash.py PARENT PROGRAM ARGUMENT…`), so that it loads nothing. The kernel keeps the promise across
exec, which makes it work for programs that aren't ours, and even if the parent is killed without a chance to tidy up.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    parent, program = int(argv[0]), argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel knew of our wish
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so across exec
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as fault:
        sys.exit(f"{program[0]}: {fault.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
