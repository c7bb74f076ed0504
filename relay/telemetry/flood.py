"""A storm of one log line must not become a storm of writes: the first lines of each second are written, the others counted."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

MOST_EVENTS: Final = 1000
"""Events that are told apart; should there be more, the oldest is forgotten."""

_WINDOW_S: Final = 1.0

Event = TypeVar("Event", bound=Hashable)


@dataclass(slots=True)
class _Window:
    since: float
    admitted: int
    suppressed: int


class Flood(Generic[Event]):
    """At most `per_s` of each event a second."""

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._clock = clock
        self._windows: dict[Event, _Window] = {}

    def admit(self, event: Event) -> bool:
        """Whether this one may pass. Call `over` first: it closes the windows that have ended."""
        window = self._windows.get(event)
        if window is None:
            if len(self._windows) >= MOST_EVENTS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[event] = _Window(self._clock(), 0, 0)
        if window.admitted >= self._per_s:
            window.suppressed += 1
            return False
        window.admitted += 1
        return True

    def over(self, *, all_of_them: bool = False) -> Iterator[tuple[Event, int]]:
        """Close the windows that have ended; yield each event of which some were suppressed, and how many."""
        now = self._clock()
        ended = [event for event, window in self._windows.items() if all_of_them or now - window.since >= _WINDOW_S]
        for event in ended:
            suppressed = self._windows.pop(event).suppressed
            if suppressed:
                yield event, suppressed
