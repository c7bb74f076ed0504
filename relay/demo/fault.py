"""The one way in which `relay run` says that it can't go on."""


class CannotRun(Exception):
    """What failed, why, and what to do next. It ends the run with exit code 1; nobody sees a traceback."""

    def __init__(self, *, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}\n{remedy}")
