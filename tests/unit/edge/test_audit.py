"""The audit: every rule is asked, and one finding is enough to refuse."""

import ast
from itertools import chain
from pathlib import Path

import pytest

from relay.edge import audit, rules_admission, rules_exposure, rules_forwarding
from relay.edge.audit import RULES, Finding, UnsafeEdge, demand_safe
from tests.unit.edge.edges import policy, tree, without


def test_no_rule_is_forgotten() -> None:
    files = (rules_admission, rules_forwarding, rules_exposure)
    written = chain.from_iterable(ast.parse(Path(str(file.__file__)).read_text(encoding="utf-8")).body for file in files)
    rules = {node.name for node in written if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    assert rules == {rule.__name__ for rule in RULES}
    assert len(RULES) == len(rules)


def test_a_sound_edge_is_passed() -> None:
    assert audit.audit(tree(), policy()) == ()
    demand_safe(tree(), policy())


def test_an_unsound_edge_is_refused_with_every_finding() -> None:
    with pytest.raises(UnsafeEdge, match="breaks its own rules") as refusal:
        demand_safe(without("server_tokens")(without("gzip")(tree())), policy())
    assert {finding.rule for finding in refusal.value.findings} == {"no_version_is_told", "answers_are_not_held_back"}
    assert all(str(finding) in str(refusal.value) for finding in refusal.value.findings)


def test_a_finding_reads_as_rule_and_fault() -> None:
    assert str(Finding("a_rule", "what is wrong")) == "a_rule: what is wrong"
