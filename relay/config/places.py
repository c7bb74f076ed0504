"""Relative paths in the settings become absolute ones: they are meant from the folder of relay.toml, wherever relay is started.

Pure: what a disk holds is asked through the `Read` that load.py brings.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from relay.config.findings import Remark, Where
from relay.config.schema import Channel, Settings

LONGEST_SOCKET = 107
"""Bytes of a unix socket's path that the kernel takes, without the zero at the end."""

MOST_OF_A_FILE = 1 << 20
_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read of a file, and who may read it."""

    data: bytes
    mode: int

    @property
    def is_open(self) -> bool:
        """Whether others may read it, or more than its owner may change it."""
        return bool(self.mode & (stat.S_IRWXO | stat.S_IWGRP))


Read = Callable[[Path, int], Contents]
"""Reads at most so many bytes of a plain file; raises OSError."""


def with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    """Give the same settings with every path taken from this folder."""
    server, tls = settings.server, settings.edge.tls
    return settings.model_copy(
        update={
            "server": server.model_copy(update={"listen": _address(server.listen, folder), "admin": _address(server.admin, folder)}),
            "edge": settings.edge.model_copy(
                update={"tls": tls.model_copy(update={"certificate": _path(tls.certificate, folder), "key": _path(tls.key, folder)})}
            ),
            "channel": tuple(_channel(channel, folder) for channel in settings.channel),
        }
    )


def too_long_sockets(settings: Settings) -> Iterator[Remark]:
    """Refuse sockets that no kernel would open. The settings have absolute paths."""
    for name in ("listen", "admin"):
        address: str = getattr(settings.server, name)
        length = len(address.removeprefix(_UNIX).encode("utf-8", "surrogateescape"))
        if address.startswith(_UNIX) and length > LONGEST_SOCKET:
            yield Remark(
                ("server", name),
                f"the path of the socket has {length} bytes, {LONGEST_SOCKET} are possible",
                f'write a shorter absolute path, for example {name} = "unix:/run/postgate/{name}.sock"',
            )


def unusable_authorities(settings: Settings, folder: Path, read: Read) -> Iterator[Remark]:
    """Refuse a ca_file that the relay could not read. The settings have the paths as they were written."""
    for number, channel in enumerate(settings.channel):
        if channel.ca_file is None:
            continue
        where: Where = ("channel", number, "ca_file")
        try:
            data = read(folder / channel.ca_file, MOST_OF_A_FILE).data
        except OSError as failed:
            yield Remark(where, f"can't read {channel.ca_file}: {reason(failed)}")
            continue
        if b"-----BEGIN " not in data:
            yield Remark(where, "no certificate is in this file", "it holds PEM: -----BEGIN CERTIFICATE-----")


def absent_certificates(settings: Settings, folder: Path, read: Read) -> Iterator[Remark]:
    """Notice certificate files that aren't there. Only that: nginx reads them as root, and they may be on another machine."""
    for name in ("certificate", "key"):
        path: str | None = getattr(settings.edge.tls, name)
        if path is None:
            continue
        try:
            read(folder / path, 1)
        except FileNotFoundError:
            yield Remark(("edge", "tls", name), f"there is no {path}", "nginx does not start without it")
        except OSError:
            continue


def reason(failed: OSError) -> str:
    """Say why the system refused, in its own words."""
    return (failed.strerror or "it can't be opened").lower()


def _address(listen: str, folder: Path) -> str:
    return f"{_UNIX}{folder / listen.removeprefix(_UNIX)}" if listen.startswith(_UNIX) else listen


def _path(path: str | None, folder: Path) -> str | None:
    return None if path is None else str(folder / path)


def _channel(channel: Channel, folder: Path) -> Channel:
    return channel if channel.ca_file is None else channel.model_copy(update={"ca_file": _path(channel.ca_file, folder)})
