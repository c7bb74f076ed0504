"""Rules about what is told: each notices every weakening that it is there for, and leaves a sound edge alone."""

import pytest

from relay.edge.audit import Rule
from relay.edge.rules_exposure import RULES
from tests.unit.edge.edges import OPEN, TLS, Weaken, policy, tree
from tests.unit.edge.weakened import EXPOSURE

FIRING = [pytest.param(rule, weaken, id=f"{rule.__name__}-{at}") for rule in RULES for at, weaken in enumerate(EXPOSURE[rule.__name__])]


def test_every_rule_has_a_weakening_and_a_reason_with_a_bad_example() -> None:
    assert [rule.__name__ for rule in RULES] == list(EXPOSURE)
    assert [rule.__name__ for rule in RULES if "Bad: " not in (rule.__doc__ or "")] == []


@pytest.mark.parametrize(("rule", "weaken"), FIRING)
def test_a_weakened_edge_is_noticed(rule: Rule, weaken: Weaken) -> None:
    findings = list(rule(weaken(tree(tls=TLS)), policy(tls=TLS)))
    assert findings


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("edge", [{}, {"tls": TLS}, OPEN, {**OPEN, "tls": TLS}], ids=["plain", "tls", "open", "open with tls"])
def test_a_sound_edge_is_left_alone(rule: Rule, edge: dict[str, object]) -> None:
    findings = list(rule(tree(**edge), policy(**edge)))
    assert findings == []
