"""What the walk holds of an upstream: a connection for as long as its answer lasts, and not a moment longer."""

from relay.domain.errors import UpstreamClosed
from relay.ports import Call, Ending, Outlet, Patience
from relay.upstream.collect import Collector
from relay.upstream.connection import CLOSED_EARLY, Connection
from relay.upstream.outlet import SocketOutlet
from relay.upstream.splice import Framer, Splicer
from relay.wire.http_head import Framing, Head
from relay.wire.openai_stream import StreamTap


class UpstreamAnswer:
    """Implements relay.ports.Answer."""

    __slots__ = ("_connection", "_mover", "head")

    head: Head  # set by `ask`

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._mover: Splicer | Framer | None = None

    async def ask(self, call: Call, patience: Patience | None, give_up_at: float) -> None:
        """Send the call and wait for the head."""
        connection = self._held()
        self.head = await connection.request(call, patience, give_up_at, self._released)

    def _released(self) -> None:
        """The connection is back in the pool, perhaps already with another request, or closed."""
        self._connection = None

    def _held(self) -> Connection:
        if self._connection is None:
            raise UpstreamClosed(CLOSED_EARLY)
        return self._connection

    async def whole(self, limit: int) -> bytes:
        """The body."""
        connection = self._held()
        collector = Collector(connection, self.head, limit)
        if self.head.framing is Framing.NONE:
            connection.body = collector
            connection.finish(b"")
            return b""
        try:
            body = await connection.read_body(collector)
        except BaseException:
            self.abandon()
            raise
        assert isinstance(body, bytes)  # noqa: S101 - a Collector finishes with bytes
        return body

    @property
    def first_token_at(self) -> float | None:
        """When the first piece of content passed."""
        return None if self._mover is None else self._mover.first_token_at

    async def splice(self, outlet: Outlet, tap: StreamTap) -> Ending:
        """Move the body to the caller."""
        assert isinstance(outlet, SocketOutlet)  # noqa: S101 - made by the same pool
        connection = self._held()
        if self.head.framing is Framing.NONE:
            self.abandon()
            msg = "The upstream's stream was empty."
            raise UpstreamClosed(msg)
        mover = Splicer(connection, outlet, tap) if self.head.framing is Framing.CHUNKED else Framer(connection, self.head, outlet, tap)
        self._mover = mover
        try:
            ending = await connection.read_body(mover)
        except BaseException:
            self.abandon()
            raise
        assert isinstance(ending, Ending)  # noqa: S101 - both readers finish with one
        return ending

    def abandon(self) -> None:
        """Close the upstream's connection unless the answer is over."""
        if self._connection is not None:
            self._connection.close()
