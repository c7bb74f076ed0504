"""The real small model, as far as it can be looked at without starting it: it runs in tests/e2e."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from relay.demo import choice, model
from relay.demo.choice import Lack


class Anything(SimpleNamespace):
    """Takes any attribute, and gives one of its kind for those that were never set."""

    def __getattr__(self, name: str) -> "Anything":
        made = Anything()
        setattr(self, name, made)
        return made


class Started(Exception):
    """The server would be running now."""


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Anything:
    """What llama.cpp is asked for."""
    params = Anything()

    def start(_: object) -> None:
        raise Started

    library = SimpleNamespace(CommonParams=lambda: params, Server=start, llama_pooling_type=Anything())
    monkeypatch.setattr(model, "import_module", {"xllamacpp": library}.__getitem__)
    with pytest.raises(Started):
        model.serve(4711, Path("/weights/smollm2.gguf"))
    return params


def test_answers_name_the_model_and_not_its_file(wanted: Anything) -> None:
    assert wanted.model_alias == {choice.MODEL_NAME}


def test_one_thread_computes_and_another_core_is_left_to_the_rest(wanted: Anything) -> None:
    assert (wanted.cpuparams.n_threads, wanted.cpuparams_batch.n_threads) == (1, 1)
    assert model.ENVIRONMENT == {"OMP_WAIT_POLICY": "passive"}


def test_four_conversations_have_their_full_context_at_once(wanted: Anything) -> None:
    assert (wanted.n_parallel, wanted.n_ctx) == (4, 4 * 4096)


def test_its_template_knows_tools(wanted: Anything) -> None:
    assert "<tool_call>" in wanted.chat_template
    assert wanted.use_jinja


def test_it_listens_where_it_was_told_to(wanted: Anything) -> None:
    assert wanted.port == 4711


def test_no_web_page_may_use_it_past_the_edge(wanted: Anything) -> None:
    assert wanted.cors_origins == ""


def test_what_is_missing_is_said_and_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "lacking", lambda: Lack("libgomp.so.1 is missing", "Install it."))
    with pytest.raises(SystemExit, match=r"libgomp\.so\.1 is missing\. Install it\."):
        model.main(["4711"])
    assert "xllamacpp" not in sys.modules
