"""What travels between the walk and the rim. That each port is implemented is held by mypy, where app.py and the fakes hand them over."""

import pytest

from relay.ports import Call, ClientGone, Inbound, Reservation
from tests.support.builders import CHAT, KEY, UPSTREAM_SECRET, channel


async def nothing() -> int:
    return -1


def test_no_secret_shows_in_what_travels() -> None:
    call = Call(channel(), b"Authorization: Bearer " + UPSTREAM_SECRET.encode(), b"a private question")
    inbound = Inbound("id-1", CHAT, b"a private question", KEY, "192.0.2.1", 1.0, nothing)
    for shown in (repr(call), repr(inbound)):
        assert "sk-" not in shown
        assert "private" not in shown


@pytest.mark.parametrize(("gone", "reason"), [(ClientGone(), "closed"), (ClientGone("send_timeout"), "send_timeout")])
def test_a_caller_who_is_gone_is_gone_for_a_reason(gone: ClientGone, reason: str) -> None:
    assert gone.reason == reason == str(gone)


def test_reservations_of_one_request_are_the_same() -> None:
    assert Reservation("id-1", "alice") == Reservation("id-1", "alice")
