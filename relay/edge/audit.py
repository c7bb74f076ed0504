"""The last look at a configuration before anybody gets it: every rule over the tree, and a refusal if one finds fault.

The generator is written to be right; this is for the day on which somebody changes it. A rule is a function of tree and
policy that yields what is wrong, in the rules_*.py file of its topic.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relay.edge import rules_admission, rules_exposure, rules_forwarding
from relay.edge.policy import EdgePolicy
from relay.edge.scope import Tree

Rule = Callable[[Tree, EdgePolicy], Iterator[str]]

RULES: tuple[Rule, ...] = (*rules_admission.RULES, *rules_forwarding.RULES, *rules_exposure.RULES)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has against a tree."""

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


class UnsafeEdge(Exception):
    """A configuration that breaks the edge's own rules. A bug of the generator, never the operator's fault."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("the generated edge breaks its own rules:\n" + "\n".join(f"  {finding}" for finding in findings))
        self.findings = findings


def audit(tree: Tree, policy: EdgePolicy) -> tuple[Finding, ...]:
    """Ask every rule."""
    return tuple(Finding(rule.__name__, message) for rule in RULES for message in rule(tree, policy))


def demand_safe(tree: Tree, policy: EdgePolicy) -> None:
    """Refuse a tree that any rule finds fault with."""
    if findings := audit(tree, policy):
        raise UnsafeEdge(findings)
