"""A prompt set whose rows have answers of their own becomes a store of log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from loud import FAMILIES, Family, loud_model
from stores import contents
from tiny_folder import CONTEXT, TINY, byte_tokenizer, write_rows

from compread.components import NORMALIZER, component_axis
from compread.errors import ModelError, SumError
from compread.extract import ExtractOptions, Extractor
from compread.extract.answer_engine import AnswerEngine
from compread.extract.answer_rows import rows_of, side_by_side
from compread.extract.answer_sharing import answers_to_run
from compread.extract.forecast import Forecaster
from compread.model import LoadedModel, ModelRequest
from compread.model.answers import AnswerDecomposer
from compread.model.load.fingerprint import fingerprint
from compread.model.switches import Switches
from compread.prompts import PromptSet, audit, read_prompt_file, tokenize
from compread.store import open_store

SMALL = ExtractOptions(batch_tokens=64, command="compread extract")
PREFIX = "Review: a good film\nSentiment: positive\n"
OPTIONS = (
    [" good", " bad", " a film"],
    [" bad", " bad film", " ça va", " 好"],
    [" good film", " x"],
)


@cache
def extractor(family: Family = TINY) -> Extractor:
    """The tiny model, ready; no test changes it."""
    model = loud_model(family, torch.float32)
    request = ModelRequest("tiny")
    return Extractor(LoadedModel(request, None, model, byte_tokenizer(), fingerprint(model)))


def rows(n: int, prefix: str = PREFIX, end: str = "") -> list[dict[str, Any]]:
    """Rows of different lengths, with two to four answers; two rows are for training."""
    return [
        {
            "prompt": f"{prefix}{'so ' * (i % 3)}{i}:{end}",
            "label": i % 2,
            "options": OPTIONS[i % 3],
            "split": "train" if i < 2 else "test",
            "id": f"r{i}",
        }
        for i in range(n)
    ]


def made(folder: Path, **changes: Any) -> PromptSet:
    """A prompt set of seven such rows."""
    return read_prompt_file(write_rows(folder / "cloze.jsonl", rows(7, **changes)))


def log_p(model: Any, prompt: str, answer: str, chat: bool = False) -> float:
    """What the model itself says of an answer, split as lm-eval splits it; a chat has no BOS."""
    tokenizer = byte_tokenizer()
    spaces = len(prompt) - len(prompt.rstrip())
    whole, before = (
        tokenizer(text, add_special_tokens=not chat)["input_ids"]
        for text in (prompt + answer, prompt[: len(prompt) - spaces])
    )
    with torch.no_grad():
        said = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return float(sum(said[i - 1, whole[i]] for i in range(len(before), len(whole))))


@pytest.mark.parametrize("end", ["", " ", "\n\n"])
@pytest.mark.parametrize("share", [True, False])
def test_the_store_holds_what_the_model_says(tmp_path: Path, share: bool, end: str) -> None:
    """Every answer's log p, its parts that add up to it, and NaN where a row has no answer."""
    prompts = made(tmp_path, end=end)
    done = extractor().extract(prompts, tmp_path / "run.h5", replace(SMALL, share=share))
    assert done.rows == 7 and len(done.warnings) == 1
    axis = component_axis([x.shape for x in extractor().anatomy.layers])
    with open_store(tmp_path / "run.h5") as store:
        assert store.components == (*axis, NORMALIZER)
        assert store.labels.word == ("A", "B", "C", "D") and store.run.label_gram == ()
        assert store.run.shared_prefix == share
        store.verify()
        left = iter(prompts.prompts)
        for name in ("train", "test"):
            split = store.split(name)
            for n, answers in enumerate(store.answers(name)):
                prompt = next(left)
                assert (split.id[n], split.gold[n]) == (prompt.id, prompt.gold)
                assert answers.text == prompt.answers
                own = [log_p(extractor().loaded.model, prompt.text, a) for a in answers.text]
                k = len(own)
                np.testing.assert_allclose(split.full[n, :k], own, rtol=1e-5)
                np.testing.assert_allclose(split.parts[n, :, :k].sum(0), own, rtol=1e-5)
                assert np.isnan(split.full[n, k:]).all() and np.isnan(split.parts[n, :, k:]).all()
                assert split.label_mass[n] == pytest.approx(np.exp(own).sum(), rel=1e-4)


def test_the_store_holds_what_its_answers_have_in_common(tmp_path: Path) -> None:
    """Of each row, or once where all rows have the same; K is the most answers of a row."""
    same = [{**row, "options": ["a film", " bad", " bad film"]} for row in rows(5)]
    sets = made(tmp_path), read_prompt_file(write_rows(tmp_path / "words.jsonl", same))
    for prompts, most, own in zip(sets, (4, 3), (True, False), strict=True):
        path = tmp_path / f"{most}.h5"
        extractor().extract(prompts, path, SMALL)
        answers = tokenize(prompts, byte_tokenizer()).answers
        engine = extractor()._engine
        assert isinstance(engine, AnswerEngine)
        with open_store(path) as store:
            assert (store.axes.has_own_answers, not store.run.label_gram) == (own, own)
            found = [store.label_gram(split) for split in ("train", "test")]
        wanted = engine.answers.grams(answers, most)
        np.testing.assert_array_equal(np.concatenate(found), wanted)
        with h5py.File(path) as file:
            assert ("answer_gram" in file["test"], file.attrs["format_version"]) == (
                own,
                5 if own else 3,
            )


def of_gemma(window: int) -> Extractor:
    """A family with a soft-cap in its attention, and with a window."""
    options = {**FAMILIES["gemma2"].options, "vocab_size": 320, "max_position_embeddings": CONTEXT}
    family = replace(FAMILIES["gemma2"], options={**options, "sliding_window": window})
    model = loud_model(family, torch.float32)
    return Extractor(
        LoadedModel(ModelRequest("tiny"), None, model, byte_tokenizer(), fingerprint(model))
    )


@pytest.mark.parametrize("window", [CONTEXT, 8])
def test_a_family_whose_attention_is_not_plain_says_how_it_is_run(
    tmp_path: Path, window: int
) -> None:
    """Side by side by a mask, or else an answer each; the numbers are those of whole prompts."""
    one = of_gemma(window)
    done = one.extract(made(tmp_path), tmp_path / "a.h5", SMALL)
    apart = any("each is run behind a prompt of its own" in w for w in done.warnings)
    assert apart == (window == 8)
    one.extract(made(tmp_path), tmp_path / "b.h5", replace(SMALL, share=False))
    with open_store(tmp_path / "a.h5") as a, open_store(tmp_path / "b.h5") as b:
        np.testing.assert_allclose(a.array("test", "parts"), b.array("test", "parts"), atol=1e-4)
        assert a.run.soft_cap == 7.0


def test_sharing_runs_fewer_tokens(tmp_path: Path) -> None:
    """The prefix once, each prompt once, and no answer's last token."""
    done = extractor().extract(made(tmp_path), tmp_path / "a.h5", SMALL)
    whole = extractor().extract(made(tmp_path), tmp_path / "b.h5", replace(SMALL, share=False))
    assert done.tokens_run < whole.tokens_run / 3


def test_rows_that_share_nothing_run_their_prompt_once(tmp_path: Path) -> None:
    """Without a common beginning a prompt is still run once for all its answers."""
    prompts = made(tmp_path, prefix="")
    texts = [replace(p, text=f"{chr(97 + n)} {p.text}") for n, p in enumerate(prompts.prompts)]
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    one = Extractor(replace(extractor().loaded, tokenizer=tokenizer))
    own = replace(prompts, prompts=tuple(texts))
    done = one.extract(own, tmp_path / "a.h5", SMALL)
    whole = one.extract(own, tmp_path / "b.h5", replace(SMALL, share=False))
    assert done.tokens_run < whole.tokens_run / 2 and len(done.warnings) == 1
    with open_store(tmp_path / "a.h5") as a, open_store(tmp_path / "b.h5") as b:
        assert not a.run.shared_prefix and a.rows("test") == 5
        np.testing.assert_allclose(a.array("test", "parts"), b.array("test", "parts"), atol=1e-4)


def test_a_row_that_all_its_answers_take_across_a_switch(tmp_path: Path) -> None:
    """Each answer alone is short enough, so each is run behind a prompt of its own."""
    prompts = made(tmp_path)
    one = Extractor(extractor().loaded)
    tokens = one._tokenize(prompts)
    engine = one.engine_for(tokens)
    rows = rows_of(tokens)
    longest = max(len(piece) for row in rows for piece in row.whole)
    engine.switches = Switches(at=(longest,))
    assert max(map(len, side_by_side(tokens))) > longest
    assert isinstance(engine, AnswerEngine)
    found, _, reasons = answers_to_run(engine, tokens, 1e-4, share=True)
    assert all(row.apart for row in found) and "computes otherwise" in reasons[0]


def stop_after(batches: int) -> Callable[[int, int, int], None]:
    """A progress callback that interrupts like Ctrl-C once so many batches are kept."""
    calls = 0

    def progress(done: int, total: int, tokens: int) -> None:
        nonlocal calls
        calls += 1
        if calls > batches:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("batches", [1, 2])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, batches: int) -> None:
    """Rows kept before the stop are not run again."""
    small = replace(SMALL, batch_tokens=24)
    target = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        extractor().extract(made(tmp_path), target, small, stop_after(batches))
    done = extractor().extract(made(tmp_path), target, small)
    assert 0 < done.kept < 7 and done.kept + done.rows == 7
    whole = tmp_path / "whole.h5"
    extractor().extract(made(tmp_path), whole, small)

    def numbers(path: Path) -> dict[str, Any]:
        return {k: v for k, v in contents(path).items() if not k.startswith("@")}

    assert numbers(target) == numbers(whole)
    assert extractor().extract(made(tmp_path), target, small).rows == 0


def test_a_decomposer_that_does_not_centre_leaves_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum check holds answers to the model's own log p."""
    init = AnswerDecomposer.__init__

    def broken(self: Any, *args: Any) -> None:
        init(self, *args)
        self._mean = torch.zeros_like(self._mean)

    monkeypatch.setattr(AnswerDecomposer, "__init__", broken)
    with pytest.raises(SumError, match="add up to"):
        Extractor(extractor().loaded).extract(made(tmp_path), tmp_path / "run.h5", SMALL)
    assert not (tmp_path / "run.h5").exists()


def test_a_wrong_mask_is_found_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where answers side by side have other parts, each is run behind a prompt of its own."""
    from compread.extract.branches import Branches

    of = Branches.of

    def blind(*args: Any) -> Branches:
        right = of(*args)
        return replace(right, seen=torch.ones_like(right.seen).tril())

    monkeypatch.setattr(Branches, "of", blind)
    done = Extractor(extractor().loaded).extract(made(tmp_path), tmp_path / "run.h5", SMALL)
    assert any("behind the shared prefix of" in w and "of its own" in w for w in done.warnings)


def test_a_model_that_needs_rows_alone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of a row are always run beside each other."""
    own = Extractor(extractor().loaded)
    own.sum_check.row_wise, own.sum_check.warnings = True, ("a row has other parts",)
    with pytest.raises(ModelError, match="which answers of several tokens cannot be"):
        own.extract(made(tmp_path), tmp_path / "run.h5", SMALL)


def test_the_engine_is_kept_from_run_to_run(tmp_path: Path) -> None:
    """Prompt sets of as many answers have one engine; its tokens are those of the first rows."""
    one = Extractor(extractor().loaded)
    one.extract(made(tmp_path), tmp_path / "a.h5", SMALL)
    before = one._engine
    one.extract(made(tmp_path), tmp_path / "b.h5", SMALL)
    assert isinstance(before, AnswerEngine) and one._engine is before and before.most == 4


@pytest.mark.parametrize("share", [True, False])
def test_the_run_takes_what_was_forecast(tmp_path: Path, share: bool) -> None:
    """Rows, tokens and operations are those of the dry run, the store's size nearly."""
    prompts = read_prompt_file(write_rows(tmp_path / "cloze.jsonl", rows(280)))
    request = ModelRequest("tiny", dtype="float32", device="cpu")
    forecaster = Forecaster(request, extractor().loaded.model.config)
    said = forecaster.run(prompts, tokenize(prompts, byte_tokenizer()), share=share)
    options = replace(SMALL, share=share, batch_tokens=None)
    done = extractor().extract(prompts, tmp_path / "run.h5", options)
    assert (said.rows, said.tokens) == (done.rows, done.tokens_whole)
    assert (said.tokens_run, said.flops) == (done.tokens_run, done.flops)
    assert said.store_bytes == pytest.approx(done.store_bytes, rel=0.1)


def test_an_audit_shows_the_answers_tokens(tmp_path: Path) -> None:
    """Each answer of a shown row, with how many tokens it has and which."""
    lines = audit(made(tmp_path), byte_tokenizer(), n=1)
    assert "--- right label: ' good'" in lines
    assert "--- answer ' good', 1 token: 'Ġgood'" in lines
    assert "--- answer ' a film', 3 tokens: 'Ġ' 'a' 'Ġfilm'" in lines
    assert any("each row has answers of its own" in line for line in lines)
