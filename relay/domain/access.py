"""Who is calling, and what that key may do. Keys are known by their hash alone."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from relay.domain.errors import AddressNotAllowed, BadCredentials, ExpiredKey, InvalidKey, MissingKey, ModelNotAllowed

LONGEST_SECRET: Final = 512
KEY_PREFIX: Final = "sk-"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of one key."""

    name: str
    digest: bytes  # SHA-256 of the key
    models: frozenset[str] | None  # None: all
    networks: tuple[IPv4Network | IPv6Network, ...] | None  # None: all
    expires: date | None  # last day (UTC) on which the key is valid
    enabled: bool = True


def digest_of(secret: str) -> bytes:
    """How a key is kept. Keys are 256 random bits, so a fast hash is the right one: there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def hash_text(digest: bytes) -> str:
    """The form in which a hash stands in the file."""
    return f"sha256:{digest.hex()}"


def key_from(random_bytes: bytes) -> str:
    """A new key of 32 random bytes: `sk-` and 64 hex digits."""
    return KEY_PREFIX + random_bytes.hex()


def secret_from(authorization: Iterable[str], x_api_key: Iterable[str]) -> str:
    """The one credential of a request: `Authorization: Bearer KEY` or `x-api-key: KEY`.

    A blank x-api-key is none. Raises MissingKey if there is none, or an Authorization of another form, and BadCredentials if there
    are several that differ: two readers of one request must never see two callers.
    """
    secrets = set()
    for value in authorization:
        scheme, _, secret = value.strip().partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            msg = "The Authorization header must be `Bearer YOUR_KEY`."
            raise MissingKey(msg)
        secrets.add(secret.strip())
    secrets.update(filter(None, map(str.strip, x_api_key)))
    if not secrets:
        msg = "You didn't provide an API key. Send it in a header: `Authorization: Bearer YOUR_KEY`."
        raise MissingKey(msg)
    if len(secrets) > 1:
        msg = "The request carries more than one API key. Send exactly one."
        raise BadCredentials(msg)
    return secrets.pop()


def identify(secret: str, principals: Mapping[bytes, Principal]) -> Principal:
    """Find the principal of a key. Raises InvalidKey, for a key that is not enabled too.

    Found by hash, then compared in constant time: a look-up of a hash tells nothing about a key.
    """
    digest = digest_of(secret) if len(secret) <= LONGEST_SECRET else b""
    principal = principals.get(digest)
    if principal is None or not hmac.compare_digest(principal.digest, digest) or not principal.enabled:
        msg = "Incorrect API key provided."
        raise InvalidKey(msg)
    return principal


def permit(principal: Principal, address: str, today: date) -> None:
    """Check where and when the key is used. Raises ExpiredKey or AddressNotAllowed."""
    if principal.expires is not None and today > principal.expires:
        msg = f"This API key expired on {principal.expires.isoformat()}."
        raise ExpiredKey(msg)
    if principal.networks is not None and not _is_in(address, principal.networks):
        msg = "This API key may not be used from your address."
        raise AddressNotAllowed(msg)


def permit_model(principal: Principal, model: str) -> None:
    """Check what the key is used for. Raises ModelNotAllowed."""
    if principal.models is not None and model not in principal.models:
        msg = f"This API key may not use the model `{printable(model)}`."
        raise ModelNotAllowed(msg, param="model")


def printable(text: str) -> str:
    """A caller's text as it may stand in a message: short and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:100])


def _is_in(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address that came over IPv6 (::ffff:a.b.c.d) counts as both."""
    try:
        known = ip_address(address)
    except ValueError:
        return False
    plain = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return any(known in network or (plain is not None and plain in network) for network in networks)
