"""Making callers' keys."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from relay.config.schema import Key
from relay.domain.access import digest_of, hash_text, key_from

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key. The secret is shown once and kept nowhere."""

    name: str
    secret: str = field(repr=False)
    hash: str

    @property
    def toml(self) -> str:
        """The table to put into relay.toml."""
        return f'[[key]]\nname = "{self.name}"\nhash = "{self.hash}"'


def create_key(name: str, random: Callable[[int], bytes]) -> MadeKey:
    """Make a key from 256 bits of a cryptographic source (`os.urandom`). Raises ValueError for a name that the file would refuse."""
    secret = key_from(random(KEY_BYTES))
    hashed = hash_text(digest_of(secret))
    try:
        Key.model_validate({"name": name, "hash": hashed})
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return MadeKey(name, secret, hashed)
