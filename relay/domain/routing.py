"""Where a request goes: candidates by exact public model name, higher priority first, a tier's credentials in turn.

The table is built once and swapped whole; a decision is two look-ups whatever the number of channels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relay.domain.channel import Candidate


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Public model -> tiers of candidates, highest priority first."""

    tiers: dict[str, tuple[tuple[Candidate, ...], ...]]

    @property
    def models(self) -> tuple[str, ...]:
        """Public model names in the order in which the file names them."""
        return tuple(self.tiers)


def build_table(candidates: Iterable[Candidate]) -> RoutingTable:
    """Sort candidates into tiers per public model."""
    by_model: dict[str, dict[int, list[Candidate]]] = {}
    for candidate in candidates:
        for model in candidate.channel.models:
            by_model.setdefault(model, {}).setdefault(candidate.channel.priority, []).append(candidate)
    return RoutingTable(
        {model: tuple(tuple(tiers[priority]) for priority in sorted(tiers, reverse=True)) for model, tiers in by_model.items()}
    )


def route(table: RoutingTable, model: str, turn: int) -> Iterator[Candidate]:
    """Yield candidates in the order in which to try them; within a tier, `turn` (any whole number) says where to begin.

    Yields nothing for an unknown model. A tier is exhausted before the next one, and no candidate comes twice.
    """
    for tier in table.tiers.get(model, ()):
        start = turn % len(tier)
        yield from tier[start:]
        yield from tier[:start]
