"""The message that ends a run."""

from relay.demo.fault import CannotRun


def test_it_says_what_failed_and_why_and_then_what_to_do() -> None:
    fault = CannotRun(what="PORT=80", why="Permission denied", remedy="Choose another port.")
    assert str(fault) == "PORT=80: Permission denied\nChoose another port."
