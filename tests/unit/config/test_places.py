"""Paths: what they are relative to, how long they may be, whether what they name is there."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.config.places import (
    LONGEST_SOCKET,
    Contents,
    Read,
    absent_certificates,
    too_long_sockets,
    unusable_authorities,
    with_absolute_paths,
)
from tests.support.settings import settings

HOME = Path("/etc/postgate")
TLS = {"tls": {"mode": "files", "certificate": "chain.pem", "key": "/keys/privkey.pem"}}


def disk(files: Mapping[str, bytes | OSError]) -> Read:
    def read(path: Path, most: int) -> Contents:
        found = files.get(str(path), FileNotFoundError(2, "No such file or directory"))
        if isinstance(found, OSError):
            raise found
        return Contents(found[:most], 0o600)

    return read


def test_relative_paths_are_taken_from_the_folder_of_the_file() -> None:
    placed = with_absolute_paths(settings({"admin": "unix:admin.sock"}, TLS, channels=({"ca_file": "ca.pem"}, {"name": "b"})), HOME)
    assert (placed.server.listen, placed.server.admin) == ("unix:/etc/postgate/run/relay.sock", "unix:/etc/postgate/admin.sock")
    assert (placed.edge.tls.certificate, placed.edge.tls.key) == ("/etc/postgate/chain.pem", "/keys/privkey.pem")
    assert [channel.ca_file for channel in placed.channel] == ["/etc/postgate/ca.pem", None]


def test_addresses_and_absolute_paths_stay_as_they_are() -> None:
    given = settings({"listen": "127.0.0.1:8100"}, channels=({"ca_file": "/ca.pem"},))
    assert with_absolute_paths(given, HOME) == given


@pytest.mark.parametrize(("length", "refused"), [(LONGEST_SOCKET, []), (LONGEST_SOCKET + 1, [("server", "listen")])])
def test_a_socket_has_only_so_many_bytes(length: int, refused: list[tuple[str, str]]) -> None:
    path = "/" + "ä" * ((length - 1) // 2) + "x" * ((length - 1) % 2)
    assert len(path.encode()) == length
    assert [remark.path for remark in too_long_sockets(settings({"listen": f"unix:{path}"}))] == refused


def test_a_long_name_of_a_host_is_no_socket() -> None:
    assert list(too_long_sockets(settings({"listen": "a." * 100 + "b:80"}))) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"# ours\n-----BEGIN CERTIFICATE-----\n", []),
        (b"", ["no certificate is in this file"]),
        (b"\x30\x82", ["no certificate is in this file"]),
        (PermissionError(13, "Permission denied"), ["can't read ca.pem: permission denied"]),
    ],
    ids=str,
)
def test_a_ca_file_that_the_relay_can_not_use_is_refused(content: bytes | OSError, complaint: list[str]) -> None:
    found = unusable_authorities(settings(channels=({"ca_file": "ca.pem"},)), HOME, disk({"/etc/postgate/ca.pem": content}))
    assert [remark.what for remark in found] == complaint


def test_a_certificate_that_is_not_there_is_noticed_and_one_that_only_root_may_read_is_not() -> None:
    read = disk({"/keys/privkey.pem": PermissionError(13, "Permission denied")})
    assert [remark.path for remark in absent_certificates(settings(edge=TLS), HOME, read)] == [("edge", "tls", "certificate")]
    assert list(absent_certificates(settings(), HOME, read)) == []


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, False), (0o644, True), (0o660, True), (0o602, True)])
def test_a_file_is_open_when_others_read_it_or_the_group_changes_it(mode: int, is_open: bool) -> None:  # noqa: FBT001 - a column
    assert Contents(b"", mode).is_open == is_open
