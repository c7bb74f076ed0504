"""The types that a channel can have are the rows of the table."""

from typing import get_args

from relay.config.schema import Channel
from relay.providers.table import ADAPTERS


def test_every_type_of_the_settings_has_an_adapter_and_the_other_way_round() -> None:
    assert sorted(get_args(Channel.model_fields["type"].annotation)) == sorted(ADAPTERS)
