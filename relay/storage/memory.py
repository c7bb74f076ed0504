"""Keys, channels and the ledger in memory, made from Settings. A snapshot is never changed, only replaced whole."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from relay.config.schema import Channel as ChannelSettings
from relay.config.schema import Key, Settings
from relay.domain.access import Principal
from relay.domain.channel import Candidate, Channel, Credential, Origin
from relay.domain.routing import RoutingTable, build_table
from relay.domain.usage import Usage
from relay.ports import Reservation


class MemoryKeys:
    """Implements relay.ports.Keys."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._principals = {principal.digest: principal for principal in map(_principal, keys)}

    def principals(self) -> Mapping[bytes, Principal]:
        """By the digest of the key."""
        return self._principals


def _principal(key: Key) -> Principal:
    return Principal(
        name=key.name,
        digest=bytes.fromhex(key.hash.removeprefix("sha256:")),
        models=None if key.models is None else frozenset(key.models),
        networks=key.allow_ips,
        expires=key.expires,
        enabled=key.enabled,
    )


class MemoryChannels:
    """Implements relay.ports.Channels."""

    def __init__(self, settings: Settings) -> None:
        self._table = build_table(_candidates(settings))

    def table(self) -> RoutingTable:
        """The routing table."""
        return self._table


def _candidates(settings: Settings) -> Iterator[Candidate]:
    for described in settings.channel:
        channel = _channel(described, settings)
        if not described.keys:
            yield Candidate(channel, None)
        for number, secret in enumerate(described.keys, start=1):
            yield Candidate(channel, Credential(f"{described.name}#{number}", secret.get_secret_value()))


def _channel(described: ChannelSettings, settings: Settings) -> Channel:
    url = urlsplit(described.base_url)
    tls = url.scheme == "https"
    return Channel(
        name=described.name,
        provider=described.type,
        origin=Origin(tls, url.hostname or "", url.port or (443 if tls else 80), described.ca_file),
        authority=url.netloc,
        path=url.path,
        models=described.models,
        priority=described.priority,
        first_byte_s=described.first_byte_timeout or settings.server.first_byte_timeout,
        idle_s=described.idle_timeout or settings.server.idle_timeout,
    )


class MemoryLedger:
    """Implements relay.ports.Ledger: totals per key since the start, held = reserved and not yet settled."""

    def __init__(self) -> None:
        self._held: dict[str, Reservation] = {}
        self._spent: dict[str, Usage] = {}

    async def reserve(self, request_id: str, key: str) -> Reservation:
        """Hold an exchange."""
        reservation = Reservation(request_id, key)
        self._held[request_id] = reservation
        return reservation

    async def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """End a hold and add what was used, the first time."""
        if self._held.pop(reservation.request_id, None) is None or usage is None:
            return
        spent = self._spent.get(reservation.key, Usage(0, 0))
        self._spent[reservation.key] = Usage(
            spent.prompt + usage.prompt,
            spent.completion + usage.completion,
            spent.cached + usage.cached,
            spent.reasoning + usage.reasoning,
        )

    @property
    def held(self) -> int:
        """Exchanges under way."""
        return len(self._held)

    def spent(self, key: str) -> Usage:
        """What a key has used since the start."""
        return self._spent.get(key, Usage(0, 0))
