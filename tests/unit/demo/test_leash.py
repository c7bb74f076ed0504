"""A program that dies with its parent."""

import os
import signal
import subprocess
import sys
import time

from relay.demo import leash
from tests.unit.demo.living import is_running

LEASH = [sys.executable, "-I", "-S", leash.__file__]
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([*sys.argv[1:4], sys.argv[4], str(os.getpid()), "/bin/sh", "-c", "echo $$; exec sleep 60"])
child.wait()
"""


def test_the_program_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, *LEASH], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        end = time.monotonic() + 10
        while is_running(pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert not is_running(pid)


def test_the_program_is_not_started_if_the_parent_is_gone_already() -> None:
    assert subprocess.run([*LEASH, str(os.getppid()), "/bin/echo", "started"], capture_output=True, check=False).stdout == b""


def test_the_program_takes_the_place_of_the_leash_with_its_arguments_and_its_exit_code() -> None:
    done = subprocess.run([*LEASH, str(os.getpid()), "/bin/sh", "-c", 'echo "$1"; exit 7', "sh", "a b"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"a b\n")


def test_a_program_that_is_not_there_is_named() -> None:
    done = subprocess.run([*LEASH, str(os.getpid()), "/nowhere/nginx"], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"/nowhere/nginx: No such file or directory\n"


def test_the_program_dies_of_a_broken_pipe_as_programs_do() -> None:
    with subprocess.Popen([*LEASH, str(os.getpid()), "/usr/bin/env", "yes"], stdout=subprocess.PIPE) as noisy:
        assert noisy.stdout
        noisy.stdout.read(1)
        noisy.stdout.close()
        assert noisy.wait(10) == -signal.SIGPIPE
