"""A storm of one event is thinned and counted; other events are not touched by it."""

from hypothesis import given
from hypothesis import strategies as st

from relay.telemetry.flood import MOST_EVENTS, Flood


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_a_second_pass_and_the_others_are_counted() -> None:
    watch = Watch()
    flood: Flood[str] = Flood(2, watch)
    assert [flood.admit("a") for _ in range(5)] == [True, True, False, False, False]
    assert list(flood.over()) == []
    watch.now += 1
    assert list(flood.over()) == [("a", 3)]
    assert flood.admit("a")


def test_one_event_does_not_cost_another_its_lines() -> None:
    flood: Flood[str] = Flood(1, Watch())
    assert flood.admit("a")
    assert not flood.admit("a")
    assert flood.admit("b")


def test_nothing_is_told_of_an_event_that_stayed_quiet() -> None:
    watch = Watch()
    flood: Flood[str] = Flood(2, watch)
    flood.admit("a")
    watch.now += 5
    assert list(flood.over()) == []


def test_at_the_end_everything_is_told() -> None:
    flood: Flood[str] = Flood(1, Watch())
    for _ in range(3):
        flood.admit("a")
    assert list(flood.over(all_of_them=True)) == [("a", 2)]


def test_many_different_events_do_not_fill_the_memory() -> None:
    flood: Flood[int] = Flood(1, Watch())
    for event in range(3 * MOST_EVENTS):
        assert flood.admit(event)
    assert not flood.admit(3 * MOST_EVENTS - 1)
    assert flood.admit(0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2))), st.integers(1, 3))
def test_every_event_is_either_admitted_or_told_as_suppressed(events: list[tuple[str, float]], per_s: int) -> None:
    watch = Watch()
    flood: Flood[str] = Flood(per_s, watch)
    admitted = suppressed = 0
    for event, later_s in events:
        watch.now += later_s
        suppressed += sum(count for _, count in flood.over())
        admitted += flood.admit(event)
    suppressed += sum(count for _, count in flood.over(all_of_them=True))
    assert admitted + suppressed == len(events)
