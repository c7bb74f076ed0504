"""New connections: what fails, how soon, and what is told of it."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import trustme

from relay.domain.channel import Origin
from relay.domain.errors import UpstreamConnectTimeout, UpstreamError, UpstreamUnreachable
from relay.upstream.dial import Dialer
from relay.upstream.poller import Poller
from tests.support.loops import both_loops
from tests.support.upstream import ScriptedUpstream, Step, cut, drop, json_answer, pause, say, silence
from tests.support.waiting import eventually, open_descriptors
from tests.unit.upstream.rig import Authority, Rig

ANSWER = say(json_answer({}))


@pytest.fixture
async def dialer() -> AsyncIterator[Dialer]:
    loop = asyncio.get_running_loop()
    poller = Poller(loop)
    yield Dialer(loop, poller, 0.2)
    poller.close()


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose backlog is full: a connection to it is neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
            sock.connect_ex(("127.0.0.1", port))
            waiting.append(sock)
        yield port
        for sock in waiting:
            sock.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def over_tls(upstream: ScriptedUpstream, ca_file: str) -> Origin:
    return Origin(tls=True, host="localhost", port=upstream.port, ca_file=ca_file)


async def refusal(dialer: Dialer, origin: Origin) -> UpstreamError:
    """What dialling it ends with, and that no descriptor is left of it."""
    before = open_descriptors()
    with pytest.raises(UpstreamError) as caught:
        await dialer.dial(origin)
    await eventually(lambda: open_descriptors() <= before)
    assert origin.host not in caught.value.message
    return caught.value


@both_loops
async def test_a_refused_connection_is_unreachable(dialer: Dialer) -> None:
    assert isinstance(await refusal(dialer, Origin(tls=False, host="127.0.0.1", port=free_port())), UpstreamUnreachable)


@both_loops
async def test_a_black_hole_is_given_up_in_time(dialer: Dialer, full: int) -> None:
    began = time.monotonic()
    assert isinstance(await refusal(dialer, Origin(tls=False, host="127.0.0.1", port=full)), UpstreamConnectTimeout)
    assert time.monotonic() - began < 1


@both_loops
@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example", "a..b", "exa mple"])
async def test_a_name_that_does_not_resolve_is_unreachable(dialer: Dialer, host: str) -> None:
    assert isinstance(await refusal(dialer, Origin(tls=False, host=host, port=80)), UpstreamError)


@both_loops
async def test_each_address_of_a_name_is_tried(dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedUpstream((ANSWER,)) as upstream:
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", free_port()))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", upstream.port))

        class Loop:
            """The running loop with a resolver of its own."""

            def __getattr__(self, name: str) -> object:
                return getattr(asyncio.get_running_loop(), name)

            async def getaddrinfo(self, *_: object, **__: object) -> list[object]:
                return [dead, alive]

        monkeypatch.setattr(dialer, "_loop", Loop())
        sock = await dialer.dial(Origin(tls=False, host="two.example", port=1))
        assert sock.getpeername()[1] == upstream.port
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


@both_loops
async def test_dialling_that_is_cancelled_leaves_nothing_open(dialer: Dialer, full: int, authority: Authority) -> None:
    async with ScriptedUpstream((pause(9),), hears=False) as upstream:
        before = open_descriptors()
        origins = [
            Origin(tls=False, host="127.0.0.1", port=full),
            over_tls(upstream, authority.ca_file),
        ]
        tasks = [asyncio.create_task(dialer.dial(origin)) for origin in origins]
        await eventually(lambda: upstream.lines)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert open_descriptors() == before + 1  # the upstream's own end


# --- TLS


@both_loops
async def test_a_server_that_the_authority_vouches_for_is_reached(rig: Rig, authority: Authority) -> None:
    async with ScriptedUpstream((ANSWER,), tls=authority.server) as upstream:
        assert (await rig.whole(rig.call(upstream, ca_file=authority.ca_file)))[1] == b"{}"


@both_loops
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(dialer: Dialer, authority: Authority, host: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(host).configure_cert(context)
    async with ScriptedUpstream((ANSWER,), tls=context) as upstream:
        for ca_file in (authority.ca_file, None):
            fault = await refusal(dialer, Origin(tls=True, host=host, port=upstream.port, ca_file=ca_file))
            assert isinstance(fault, UpstreamUnreachable)
        assert upstream.heard == []


async def test_a_certificate_of_another_name_is_refused(dialer: Dialer) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("other.example").configure_cert(context)
    with ca.cert_pem.tempfile() as ca_file:
        async with ScriptedUpstream((ANSWER,), tls=context) as upstream:
            assert isinstance(await refusal(dialer, over_tls(upstream, ca_file)), UpstreamUnreachable)


async def test_an_old_version_of_tls_is_refused(dialer: Dialer, authority: Authority) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        authority.server.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        async with ScriptedUpstream((ANSWER,), tls=authority.server) as upstream:
            origin = over_tls(upstream, authority.ca_file)
            assert isinstance(await refusal(dialer, origin), UpstreamUnreachable)
    finally:
        authority.server.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


@both_loops
@pytest.mark.parametrize("answer", [say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), drop])
async def test_a_server_that_speaks_no_tls_is_unreachable(dialer: Dialer, authority: Authority, answer: Step) -> None:
    async with ScriptedUpstream((answer, cut), hears=False) as upstream:
        fault = await refusal(dialer, over_tls(upstream, authority.ca_file))
        assert isinstance(fault, UpstreamUnreachable)


@both_loops
async def test_a_handshake_that_never_ends_is_given_up_in_time(dialer: Dialer, authority: Authority) -> None:
    async with ScriptedUpstream((silence,), hears=False) as upstream:
        fault = await refusal(dialer, over_tls(upstream, authority.ca_file))
        assert isinstance(fault, UpstreamConnectTimeout)
        await eventually(lambda: upstream.open == 0)


async def test_a_file_of_authorities_that_is_not_there_is_unreachable(dialer: Dialer) -> None:
    async with ScriptedUpstream((ANSWER,)) as upstream:
        assert isinstance(await refusal(dialer, over_tls(upstream, "/nowhere/ca.pem")), UpstreamUnreachable)
