"""Whether a line of the file or a variable is named."""

from relay.config.findings import Notice, Problem, Remark
from relay.config.origin import Origin

TEXT = '[server]\ndrain = "5m"\n\n[edge]\ntls = { mode = "off" }\n'


def test_a_setting_of_the_file_is_named_by_its_line() -> None:
    assert Origin("relay.toml", TEXT).problem(Remark(("server", "drain"), "bad", "do")) == Problem(
        "relay.toml", 2, "server.drain", "bad", "do"
    )
    assert Origin("relay.toml", TEXT).notice(Remark(("server", "drain"), "odd")) == Notice("relay.toml", 2, "server.drain", "odd")


def test_a_setting_of_a_variable_is_named_by_the_variable() -> None:
    origin = Origin("relay.toml", TEXT, {("server", "drain"): "RELAY_SERVER_DRAIN"})
    assert str(origin.problem(Remark(("server", "drain"), "bad"))) == "environment: RELAY_SERVER_DRAIN: bad"
    assert str(origin.problem(Remark(("server", "tries"), "bad"))) == "relay.toml:1: server.tries: bad"


def test_a_table_that_only_a_variable_made_is_named_by_the_variable() -> None:
    origin = Origin("relay.toml", TEXT, {("edge", "rate_limit", "burst"): "RELAY_EDGE_RATE_LIMIT_BURST"})
    assert str(origin.problem(Remark(("edge", "rate_limit"), "bad"))) == "environment: RELAY_EDGE_RATE_LIMIT_BURST: bad"
    assert str(origin.problem(Remark(("edge",), "bad"))) == "relay.toml:4: edge: bad"
    assert str(origin.problem(Remark((), "bad"))) == "relay.toml: bad"


def test_what_is_there_already_is_named_by_its_line() -> None:
    remark = Remark(("edge", "tls", "mode"), "again", first=("server", "drain"))
    assert str(Origin("relay.toml", TEXT).problem(remark)) == "relay.toml:5: edge.tls.mode: again; the first is on line 2"


def test_a_table_that_is_nowhere_has_no_line() -> None:
    assert str(Origin("relay.toml", "").notice(Remark(("key",), "none"))) == "relay.toml: key: none"
