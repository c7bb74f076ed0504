"""Every exception to the guards of this folder, by name and with its reason. These lists may only shrink.

A test fails as soon as an entry is no longer needed.
"""

WITHOUT_OWN_TEST: dict[str, str] = {}
"""Modules that have no tests/unit/**/test_<name>.py: path -> where they are tested instead, and why there."""

OVER_LONG: dict[str, str] = {}
"""Files of more than 400 lines: path -> why they can't be split."""

READ_BY_THE_SCHEMA_ALONE: dict[str, str] = {
    "Tls.mode": "says what the two file settings next to it mean; the schema holds the three in agreement",
}
"""Settings that no code outside relay/config/schema.py reads: Table.field -> what they are good for."""
