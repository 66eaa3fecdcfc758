"""``compread check``: a verdict in a table, in JSON, and in the exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compread.cli import main


def test_a_certified_type(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, and each identity with its error and what is allowed."""
    assert main(["check", "gpt2", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (model,) = found["models"]
    assert (model["model_type"], model["verdict"], model["reason"]) == ("gpt2", "certified", "")
    assert model["shared_prefix"] is True
    assert {proof["state"] for proof in found["proofs"]} == {"holds"}
    assert all(proof["error"] <= proof["allowed"] for proof in found["proofs"])


@pytest.mark.parametrize(
    ("kind", "word"), [("bart", "encoder-decoder"), ("reformer", "reversible")]
)
def test_others_end_with_3_and_the_reason(
    kind: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not certified is not an error, but no success either."""
    assert main(["check", kind]) == 3
    out = capsys.readouterr().out
    # No proof was made, so there is no table of proofs either.
    assert word in out and "proof" not in out and "allowed" not in out


def test_a_type_whose_prefix_cannot_be_shared(capsys: pytest.CaptureFixture[str]) -> None:
    """It is certified; the table says that prompts are run whole."""
    assert main(["check", "mamba"]) == 0
    out = capsys.readouterr().out
    assert "certified" in out and "not shared" in out


def test_libraries_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What transformers warns of while a twin is built is no word of the verdict."""
    from transformers.utils import logging

    import compread.check as check

    def warns(*_: Any) -> check.Certificate:
        logging.get_logger("transformers.models").warning("a model of your own")
        return check.Certificate("bart", "refused", "it is none")

    logging.set_verbosity_warning()
    monkeypatch.setattr(check, "certify", warns)
    assert main(["check", "bart"]) == 3
    shown = capsys.readouterr()
    assert "it is none" in shown.out and shown.err == ""


@pytest.mark.parametrize("arguments", [[], ["gpt2", "--all"]])
def test_a_model_or_all(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two is needed, and not both."""
    assert main(["check", *arguments]) == 2
    assert "MODEL or --all" in capsys.readouterr().err


def test_all_in_one_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each type once, by verdict and with its reason, however many there are."""
    import compread.check as check

    monkeypatch.setattr(check, "causal_types", lambda: ["bart", "gpt2", "reformer", "rwkv"])
    assert main(["check", "--all", "--format", "md"]) == 0
    shown = capsys.readouterr()
    for words in (
        "certified: 1 model types**\n\n| model type | worst error | layers | components |",
        "certified, prompts are run whole: 1 model types",
        "| reformer | reversible",
        "| bart | encoder-decoder",
    ):
        assert words in shown.out
    counts = [line.split()[:2] for line in shown.err.splitlines() if line[:1].isdigit()]
    assert [count for count, _ in counts] == ["1/4", "2/4", "3/4", "4/4"]
    assert {kind for _, kind in counts} == {"bart:", "gpt2:", "reformer:", "rwkv:"}


def test_a_check_that_died_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The exit status says so even where other types are certified."""
    import compread.check as check

    found = [
        check.Certificate("good", "certified"),
        check.Certificate("bad", "refused", "its check died (exit status -9)", died=True),
    ]
    monkeypatch.setattr(check, "certify_all", lambda *args, **options: found)
    assert main(["check", "--all"]) == 3
    assert "exit status -9" in capsys.readouterr().out
