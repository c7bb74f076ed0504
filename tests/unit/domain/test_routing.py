"""Every candidate is tried once, the dearer tiers last, and the turn goes round within a tier."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.channel import Candidate
from relay.domain.routing import build_table, route
from tests.support.builders import MODEL, candidate, channel


@st.composite
def pools(draw: st.DrawFn) -> list[Candidate]:
    """Channels of some priorities, with some credentials each, that serve some of three models."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        models = draw(st.sets(st.sampled_from([MODEL, "b", "c"])))
        one = channel(f"channel-{number}", models={model: model for model in models}, priority=draw(st.integers(-1, 2)))
        found += [candidate(one, f"sk-{number}-{credential}") for credential in range(draw(st.integers(1, 3)))]
    return found


def names(candidates: list[Candidate]) -> list[str]:
    return [each.credential.secret for each in candidates if each.credential]


@given(pools(), st.sampled_from([MODEL, "b", "c"]), st.integers())
def test_each_candidate_of_a_model_is_tried_exactly_once(pool: list[Candidate], model: str, turn: int) -> None:
    tried = list(route(build_table(pool), model, turn))
    able = [each for each in pool if model in each.channel.models]
    assert Counter(names(tried)) == Counter(names(able))


@given(pools(), st.integers())
def test_a_higher_priority_is_tried_first(pool: list[Candidate], turn: int) -> None:
    priorities = [each.channel.priority for each in route(build_table(pool), MODEL, turn)]
    assert all(one >= other for one, other in pairwise(priorities))


@given(pools(), st.integers(-(10**9), 10**9))
def test_the_next_turn_begins_with_the_next_of_each_tier(pool: list[Candidate], turn: int) -> None:
    table = build_table(pool)
    for tier in table.tiers.get(MODEL, ()):
        now = [each for each in route(table, MODEL, turn) if each in tier]
        after = [each for each in route(table, MODEL, turn + 1) if each in tier]
        assert now[0] == tier[turn % len(tier)]
        assert after == now[1:] + now[:1]
        assert now == [each for each in route(table, MODEL, turn + len(tier)) if each in tier]


@given(pools())
def test_in_as_many_turns_as_there_are_candidates_each_is_first_once(pool: list[Candidate]) -> None:
    table = build_table(pool)
    for tier in table.tiers.get(MODEL, ())[:1]:
        firsts = [next(route(table, MODEL, turn)) for turn in range(len(tier))]
        assert names(firsts) == names(list(tier))


def test_an_unknown_model_goes_nowhere() -> None:
    table = build_table([candidate()])
    for wrong in ("other", "", MODEL.upper(), MODEL + " "):
        assert list(route(table, wrong, 0)) == []
    assert list(route(build_table([]), MODEL, 0)) == []


def test_models_are_listed_once_in_the_order_of_the_file() -> None:
    one, other = channel("one", models={"z": "z", "a": "a"}), channel("other", models={"m": "m", "z": "x"}, priority=5)
    assert build_table([candidate(one), candidate(one, "sk-2"), candidate(other)]).models == ("z", "a", "m")


def test_a_candidate_without_a_credential_is_one_too() -> None:
    alone = candidate(secret=None)
    assert list(route(build_table([alone]), MODEL, 3)) == [alone]
