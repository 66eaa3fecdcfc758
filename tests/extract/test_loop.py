"""A prompt set becomes a store: the engine's numbers, whole or in pieces, or nothing at all."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from loud import loud_model
from stores import contents, rot
from tiny_folder import CONTEXT, LABELS, TINY, byte_tokenizer, review_rows, write_rows

from compread.components import component_axis
from compread.errors import PromptError, StoreError, SumError, TargetError
from compread.extract import Engine, ExtractOptions, Extractor, SharedPrefix
from compread.model import Decomposer, LoadedModel, ModelRequest
from compread.model.load.fingerprint import fingerprint
from compread.prompts import PromptSet, read_prompt_file, tokenize
from compread.store import journal_path, open_store, partial_status

SMALL = ExtractOptions(batch_tokens=64, command="compread extract")


@cache
def extractor() -> Extractor:
    """The tiny model, ready; no test changes it."""
    model = loud_model(TINY, torch.float32)
    request = ModelRequest("tiny")
    return Extractor(LoadedModel(request, None, model, byte_tokenizer(), fingerprint(model)))


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Thirty rows of different lengths, six of them for training, behind a shared prefix."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(30, n_train=6)))


def stop_after(batches: int) -> Callable[[int, int, int], None]:
    """A progress callback that interrupts like Ctrl-C once so many batches are kept."""
    calls = 0

    def progress(done: int, total: int, tokens: int) -> None:
        nonlocal calls
        calls += 1  # the first call comes before the first batch
        if calls > batches:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("share", [True, False])
def test_the_store_holds_what_the_engine_says(
    tmp_path: Path, prompts: PromptSet, share: bool
) -> None:
    """Parts, logits, gold labels and ids of every row, in prompt order, are the model's."""
    target = tmp_path / "run.h5"
    done = extractor().extract(prompts, target, replace(SMALL, share=share))
    assert (done.path, done.rows, done.kept, done.warnings) == (target, 30, 0, ())
    tokens = tokenize(prompts, byte_tokenizer())
    engine = Engine(extractor().loaded.model, extractor().anatomy, tokens.label_ids)
    with open_store(target) as store:
        assert store.components == component_axis([x.shape for x in extractor().anatomy.layers])
        assert store.labels.word == LABELS and store.labels.token_id == tokens.label_ids
        head = extractor().loaded.model.get_output_embeddings()
        unembedding = head.weight[list(tokens.label_ids)].detach().double().numpy()  # [K, D]
        gram = store.label_gram("train")
        assert gram is not None and gram.shape == (6, 2, 2)
        np.testing.assert_allclose(gram[5], unembedding @ unembedding.T, rtol=1e-12)
        rows = [(split, n) for split in ("train", "test") for n in range(len(store.split(split)))]
        assert len(rows) == 30 and rows[6] == ("test", 0)
        for number, (name, n) in enumerate(rows):
            split = store.split(name)
            alone = engine.run([tokens.ids[number]])
            scale = float(alone.scale)
            assert np.allclose(split.parts[n], alone.parts[0], rtol=0, atol=1e-4 * scale)
            assert np.allclose(split.full[n], alone.full[0], rtol=0, atol=1e-5 * scale)
            assert split.gold[n] == prompts.prompts[number].gold
            assert split.id[n] == f"r{number}"
            assert split.label_mass[n] == pytest.approx(float(alone.label_mass[0]), rel=1e-4)
            total = split.parts[n].sum(0)
            assert np.abs(total - split.full[n]).max() <= 1e-5 * scale
            assert split.sum_error[n] <= 1e-5 * scale


def test_the_run_is_described(tmp_path: Path, prompts: PromptSet) -> None:
    """The store says which model, which prompts and which settings it comes from."""
    done = extractor().extract(prompts, tmp_path / "run.h5", SMALL)
    with open_store(done.path) as store:
        run = store.run
    tokens = tokenize(prompts, byte_tokenizer())
    assert (run.model, run.model_type, run.dtype, run.task) == (
        "tiny",
        "llama",
        "float32",
        "reviews",
    )
    assert run.shared_prefix and run.prefix_tokens > 10
    assert {tuple(row[: run.prefix_tokens]) for row in tokens.ids} == {
        tuple(tokens.ids[0][: run.prefix_tokens])
    }
    assert run.tolerance == 1e-4 and 0 < run.worst_sum_error < 1e-4
    assert run.command == "compread extract" and run.sample_prompt == prompts.prompts[0].text
    assert set(run.versions) == {"compread", "torch", "transformers"} and run.date


def test_the_summary_counts_tokens(tmp_path: Path, prompts: PromptSet) -> None:
    """Tokens run are the prefix once and each row's own; whole prompts would have taken more."""
    done = extractor().extract(prompts, tmp_path / "run.h5", SMALL)
    lengths = [len(row) for row in tokenize(prompts, byte_tokenizer()).ids]
    with open_store(done.path) as store:
        prefix = store.run.prefix_tokens
    assert done.tokens_whole == sum(lengths)
    assert done.tokens_run == sum(lengths) - 29 * prefix
    assert 0 < done.worst_error < 1e-5


@pytest.mark.parametrize("batches", [0, 1, 5, "last"])
@pytest.mark.parametrize("share", [True, False])
def test_an_interrupted_run_goes_on(
    tmp_path: Path, prompts: PromptSet, batches: int | str, share: bool
) -> None:
    """Stopped after k batches and begun again, every dataset has the bytes of an unstopped run."""
    options = replace(SMALL, share=share)
    seen: list[int] = []
    whole = extractor().extract(
        prompts, tmp_path / "whole.h5", options, lambda done, total, tokens: seen.append(done)
    )
    k = len(seen) - 1 if batches == "last" else int(batches)
    target = tmp_path / "stopped.h5"
    with pytest.raises(KeyboardInterrupt):
        extractor().extract(prompts, target, options, stop_after(k))
    assert not target.exists()
    status = partial_status(target)
    assert (status.done if status else 0) == seen[k]
    again = extractor().extract(prompts, target, options)
    assert (again.kept, again.rows) == (seen[k], 30 - seen[k])
    assert contents(target) == contents(whole.path)
    assert not journal_path(target).exists()


def test_a_stopped_run_is_refused_to_another(tmp_path: Path, prompts: PromptSet) -> None:
    """Rows of another batch size, and so of other bytes, are not mixed in."""
    target = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        extractor().extract(prompts, target, SMALL, stop_after(2))
    with pytest.raises(TargetError, match="batch-tokens=64; you ask for batch-tokens=128"):
        extractor().extract(prompts, target, replace(SMALL, batch_tokens=128))
    assert extractor().extract(prompts, target, SMALL).kept > 0


def break_fold(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Let the constant part of the logits be forgotten from some batch on."""
    real, calls = Decomposer.decompose, 0

    def decompose(self: Decomposer, activations: Any) -> Any:
        nonlocal calls
        calls += 1
        batch = real(self, activations)
        return batch if calls <= after else replace(batch, parts=batch.parts * 1.5)

    monkeypatch.setattr(Decomposer, "decompose", decompose)


@pytest.mark.parametrize("after", [0, 6], ids=["at once", "with rows kept"])
def test_a_wrong_sum_leaves_nothing(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Past the tolerance the run ends with the row's name, and neither store nor rows are left."""
    target = tmp_path / "out" / "run.h5"
    break_fold(monkeypatch, after)
    with pytest.raises(SumError, match=r"row r\d+ .*at most 1.0e-04 allowed in float32") as error:
        extractor().extract(prompts, target, SMALL)
    assert error.value.exit_code == 3 and "nothing was written" in str(error.value)
    assert list(target.parent.iterdir()) == []


def test_nan_is_a_wrong_sum(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits that are not numbers never pass for right ones."""
    real = Decomposer.decompose

    def decompose(self: Decomposer, activations: Any) -> Any:
        batch = real(self, activations)
        return replace(batch, pre_cap=batch.pre_cap * float("nan"))

    monkeypatch.setattr(Decomposer, "decompose", decompose)
    with pytest.raises(SumError, match="nan"):
        extractor().extract(prompts, tmp_path / "run.h5", SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_a_wrong_sum_spares_the_store_it_was_to_replace(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With force, the old store stays until the new one is right."""
    target = tmp_path / "run.h5"
    extractor().extract(prompts, target, SMALL)
    before = target.read_bytes()
    break_fold(monkeypatch)
    with pytest.raises(SumError):
        extractor().extract(prompts, target, replace(SMALL, force=True))
    assert target.read_bytes() == before and not journal_path(target).exists()


def test_a_finished_store_of_the_same_run_is_kept(tmp_path: Path, prompts: PromptSet) -> None:
    """It stays as it is without force; with force it is made anew."""
    target = tmp_path / "run.h5"
    extractor().extract(prompts, target, SMALL)
    before = target.stat()
    again = extractor().extract(prompts, target, SMALL)
    assert (again.rows, again.kept, again.path) == (0, 30, target)
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    again = extractor().extract(prompts, target, replace(SMALL, force=True, command="another"))
    assert again.rows == 30
    with open_store(target) as store:
        assert store.run.command == "another"


def test_a_store_of_another_run_is_not_replaced(tmp_path: Path, prompts: PromptSet) -> None:
    """One row less, or other sizes of batches that were asked for, is another run."""
    target = tmp_path / "run.h5"
    extractor().extract(prompts, target, SMALL)
    before = target.read_bytes()
    others = replace(prompts, prompts=prompts.prompts[:-1])
    with pytest.raises(TargetError, match="exists already, made with other prompts or labels"):
        extractor().extract(others, target, SMALL)
    with pytest.raises(TargetError, match=r"made with batch-tokens=\d+; you ask for .*=31:"):
        extractor().extract(prompts, target, replace(SMALL, batch_tokens=31))
    assert target.read_bytes() == before


def test_a_rotten_store_is_not_kept(tmp_path: Path, prompts: PromptSet) -> None:
    """A finished store whose numbers are damaged is refused with what makes it anew."""
    target = tmp_path / "run.h5"
    extractor().extract(prompts, target, SMALL)
    rot(target)
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"damaged.* at /test/parts, rows .*give --force"):
        extractor().extract(prompts, target, SMALL)
    assert target.read_bytes() == before
    assert extractor().extract(prompts, target, replace(SMALL, force=True)).rows == 30


def test_the_next_run_cleans_up_behind_a_stop_after_the_rename(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run killed between the rename and the end leaves its journal; the next one removes it."""
    target = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("compread.store.journal.Journal.remove", lambda self: self.close())
        extractor().extract(prompts, target, SMALL)
    assert journal_path(target).exists()
    before = contents(target)
    assert extractor().extract(prompts, target, SMALL).kept == 30
    assert contents(target) == before and not journal_path(target).exists()


def test_a_prefix_that_misfits_is_not_used(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is let go where it changes the numbers; whole prompts are run, and a warning says so."""
    whole = extractor().extract(prompts, tmp_path / "whole.h5", replace(SMALL, share=False))
    real = SharedPrefix.__init__
    made: list[weakref.ref[SharedPrefix]] = []

    def wrong(self: SharedPrefix, *args: Any) -> None:
        made.append(weakref.ref(self))
        real(self, *args)
        for layer in self._cache.layers:
            layer.values = layer.values * 1.1

    def free_prefix(done: int, total: int, tokens: int) -> None:
        assert [prefix() for prefix in made] == [None]

    monkeypatch.setattr(SharedPrefix, "__init__", wrong)
    done = extractor().extract(prompts, tmp_path / "run.h5", SMALL, free_prefix)
    (warning,) = done.warnings
    assert "shared prefix of" in warning and "whole prompts are run" in warning
    assert contents(done.path) == contents(whole.path)


def test_what_is_proved_is_run_once(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proofs of the blocks, of rows alone and of the prefix take the same two whole rows."""
    record, begin = Engine.record, SharedPrefix.__init__
    whole: list[int] = []
    prefixes: list[int] = []

    def counted(self: Engine, rows: Any, prefix: Any = None, **options: Any) -> Any:
        if prefix is None:
            whole.append(len(rows))
        return record(self, rows, prefix, **options)

    def begun(self: SharedPrefix, model: Any, tokens: Any) -> None:
        prefixes.append(len(tokens))
        begin(self, model, tokens)

    monkeypatch.setattr(Engine, "record", counted)
    monkeypatch.setattr(SharedPrefix, "__init__", begun)
    Extractor(extractor().loaded).extract(prompts, tmp_path / "run.h5", SMALL)
    assert whole == [1, 1, 2, 1] and len(prefixes) == 1


def test_a_prompt_beyond_the_context_is_refused(tmp_path: Path) -> None:
    """The row is named with its length and the model's, and nothing is written."""
    rows = review_rows(3)
    rows[1]["prompt"] = "x" * CONTEXT
    prompts = read_prompt_file(write_rows(tmp_path / "p.jsonl", rows))
    with pytest.raises(PromptError, match=rf"'r1' .* {CONTEXT + 1} tokens, .* {CONTEXT}"):
        extractor().extract(prompts, tmp_path / "run.h5", SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["p.jsonl"]


def test_a_prompt_that_fills_the_context_is_run(tmp_path: Path) -> None:
    """One token less is accepted."""
    rows = review_rows(3)
    rows[1]["prompt"] = "x" * (CONTEXT - 1)
    prompts = read_prompt_file(write_rows(tmp_path / "p.jsonl", rows))
    assert extractor().extract(prompts, tmp_path / "run.h5", SMALL).rows == 3


def test_half_precision_is_judged_by_its_own_tolerance(tmp_path: Path, prompts: PromptSet) -> None:
    """A bfloat16 model's store has float32 parts and the tolerance of bfloat16."""
    model = loud_model(TINY, torch.bfloat16)
    loaded = LoadedModel(ModelRequest("tiny"), None, model, byte_tokenizer(), fingerprint(model))
    done = Extractor(loaded).extract(prompts, tmp_path / "run.h5", SMALL)
    with h5py.File(done.path) as file:
        assert file["test/parts"].dtype == np.float32
    with open_store(done.path) as store:
        assert store.run.dtype == "bfloat16" and store.run.tolerance > 1e-3
        assert 1e-5 < done.worst_error < store.run.tolerance


def test_heads_that_are_mixed_up_are_not_kept(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two heads in each other's place add up all the same; the proof on the weights sees them."""
    fresh = Extractor(extractor().loaded)
    real = Decomposer.decompose

    def decompose(self: Decomposer, activations: Any) -> Any:
        batch = real(self, activations)
        order = [0, 2, 1, *range(3, batch.parts.shape[1])]
        return replace(batch, parts=batch.parts[:, order])

    monkeypatch.setattr(Decomposer, "decompose", decompose)
    with pytest.raises(SumError, match=r"each head = its write fails: .*compread check") as error:
        fresh.extract(prompts, tmp_path / "run.h5", SMALL)
    assert error.value.exit_code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_each_set_of_labels_is_proved(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof on the weights is made once for the labels of a set, and again for others."""
    fresh = Extractor(extractor().loaded)
    fresh.extract(prompts, tmp_path / "first.h5", SMALL)

    def refuse(*args: Any) -> Any:
        raise SumError("proved again")

    monkeypatch.setattr(import_module("compread.extract.sum_check"), "prove_structure", refuse)
    fresh.extract(prompts, tmp_path / "same.h5", SMALL)
    others = review_rows(6, labels=(" good", " bad"))
    with pytest.raises(SumError, match="proved again"):
        fresh.extract(
            read_prompt_file(write_rows(tmp_path / "others.jsonl", others)),
            tmp_path / "others.h5",
            SMALL,
        )
