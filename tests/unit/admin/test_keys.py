"""Keys are made once, shown once, and kept as a hash."""

import os
import tomllib

from relay.admin.keys import create_key
from relay.config.schema import Key
from relay.domain.access import digest_of, hash_text


def test_a_key_is_made_of_all_random_bits_it_was_given() -> None:
    made = create_key("bob", lambda count: bytes(range(count)))
    assert made.secret == "sk-" + bytes(range(32)).hex()


def test_the_hash_is_the_one_under_which_the_relay_looks_a_key_up() -> None:
    made = create_key("bob", os.urandom)
    assert made.hash == hash_text(digest_of(made.secret))


def test_the_printed_table_is_a_valid_key_of_the_file() -> None:
    made = create_key("bob", os.urandom)
    (table,) = tomllib.loads(made.toml)["key"]
    assert Key.model_validate(table).hash == made.hash


def test_a_made_key_does_not_show_its_secret_when_printed() -> None:
    made = create_key("bob", os.urandom)
    assert made.secret not in repr(made)
