"""Free loopback ports, each for one run alone.

A port that is free now may be taken a moment later by another run that looked at the same time. So a run first claims the port's number
under a name that only one process can hold, the name of an abstract unix socket: it needs no file and is gone with its holder.
"""

import contextlib
import errno
import socket

from relay.demo.fault import CannotRun

LOOPBACK = "127.0.0.1"
EDGE_PORT = 8080
ADMIN_PORT = 8101
_WITHIN = 100
_LAST = 65535


class Ports:
    """Claims ports, and lets go of them when the run ends."""

    def __init__(self) -> None:
        self._claims = contextlib.ExitStack()

    def close(self) -> None:
        self._claims.close()

    def exactly(self, wanted: str) -> int:
        """Claim the port that was asked for (0: any), or say why not."""
        if not (wanted.isascii() and wanted.isdigit() and int(wanted) <= _LAST):
            raise CannotRun(
                what="PORT", why=f"{wanted!r} is not a port", remedy=f"Give a number from 1 to {_LAST}, for example PORT={EDGE_PORT}."
            )
        port = int(wanted)
        if not port:
            return self.any()
        if problem := self._problem(port):
            raise CannotRun(what=f"PORT={wanted}", why=problem, remedy="Choose another port, or leave PORT out to get a free one.")
        return port

    def first_free(self, start: int) -> int:
        """Claim the first free port from `start` on."""
        for port in range(start, start + _WITHIN):
            if not self._problem(port):
                return port
        raise CannotRun(
            what="ports", why=f"none from {start} to {start + _WITHIN - 1} is free", remedy="End some of the programs that listen there."
        )

    def any(self) -> int:
        """Claim a port that the kernel chooses."""
        while True:
            with socket.socket() as chosen:
                chosen.bind((LOOPBACK, 0))
                port: int = chosen.getsockname()[1]
            if not self._problem(port):
                return port

    def _problem(self, port: int) -> str:
        """Claim a port; say why that isn't possible."""
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0postgate/{LOOPBACK}:{port}")
            _try(port)
        except OSError as fault:
            claim.close()
            return "another program listens there" if fault.errno == errno.EADDRINUSE else str(fault.strerror)
        self._claims.enter_context(claim)
        return ""


def _try(port: int) -> None:
    """Bind as a server does, so that connections of an earlier run that are still fading away don't count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        probe.listen(1)
