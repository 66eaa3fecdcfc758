"""Answers behind a prompt that says nothing of their row: run, kept, taken from what rows say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import contents
from test_answer_runs import SMALL, extractor, log_p, made, rows, stop_after
from tiny_folder import byte_tokenizer, save_tiny, write_rows

from compread.analysis.runs import read_runs
from compread.cli import main
from compread.errors import PromptError, StoreError
from compread.extract import Extractor
from compread.extract.groups import plan_groups
from compread.prompts import Chat, read_prompt_file, tokenize, with_unconditional
from compread.store import open_store


@pytest.mark.parametrize("text", ["", "Answer:"])
def test_what_a_row_adds_to_its_answers(tmp_path: Path, text: str) -> None:
    """Log p(y | x) - log p(y | text), and each component's part less its own behind the text."""
    prompts, path = made(tmp_path), tmp_path / "run.h5"
    extractor().extract(with_unconditional(prompts, text), path, SMALL)
    model = extractor().loaded.model
    with open_store(path) as store, open_store(path, normalize="pmi") as other:
        assert store.rows("unconditional") == 3 and store.run.protocol["unconditional"] == text
        store.verify()
        behind = {of.text: n for n, of in enumerate(store.answers("unconditional"))}
        apart = store.split("unconditional")
        for name in ("train", "test"):
            plain, alike = store.split(name), other.split(name)
            asked = [p for p in prompts.prompts if p.split == name]
            for n, (answers, prompt) in enumerate(zip(store.answers(name), asked, strict=True)):
                k, row = len(answers), behind[answers.text]
                own = [log_p(model, prompt.text, a) - log_p(model, text, a) for a in answers.text]
                np.testing.assert_allclose(alike.full[n, :k], own, rtol=1e-4, atol=1e-4)
                difference = plain.parts[n, :, :k] - apart.parts[row, :, :k]
                np.testing.assert_allclose(alike.parts[n, :, :k], difference, rtol=1e-6)
                np.testing.assert_allclose(alike.parts[n, :, :k].sum(0), own, rtol=1e-3, atol=1e-3)
        pieces = list(other.iter_parts("test", 2))
        whole = np.concatenate([parts for _, parts in pieces])
        np.testing.assert_array_equal(whole, other.array("test", "parts"))


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """Unconditional rows are kept as others are; a run without them is another run."""
    small, target = replace(SMALL, batch_tokens=24), tmp_path / "run.h5"
    prompts = with_unconditional(made(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        extractor().extract(prompts, target, small, stop_after(2))
    done = extractor().extract(prompts, target, small)
    assert 0 < done.kept < 10 and done.kept + done.rows == 10
    extractor().extract(prompts, tmp_path / "whole.h5", small)
    assert contents(target) == contents(tmp_path / "whole.h5")
    with pytest.raises(Exception, match="made with unconditional=; you ask for unconditional=none"):
        extractor().extract(made(tmp_path), target, small)


def test_labels_in_common_are_one_row(tmp_path: Path) -> None:
    """Words of one token too are then read for their log-probabilities."""
    same = [{**row, "options": [" good", " bad"]} for row in rows(5)]
    prompts = read_prompt_file(write_rows(tmp_path / "words.jsonl", same))
    path = tmp_path / "run.h5"
    done = extractor().extract(with_unconditional(prompts), path, SMALL)
    assert "label words are read behind a second prompt" in done.warnings[0]
    with open_store(path, "logsumexp", "pmi") as store:
        assert store.rows("unconditional") == 1 and store.labels.word == (" good", " bad")
        assert not store.axes.has_own_answers
    (run,) = read_runs([path], normalize="pmi")
    assert run.stats.full.n == 3


@pytest.mark.parametrize(
    ("options", "text"), [(("--unconditional",), "A:"), (("--unconditional-prompt", "B"), "B")]
)
def test_the_prompts_own_is_the_default(
    tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    """What rows have for it is run unless the command line has another."""
    save_tiny(tmp_path / "tiny")
    own = write_rows(tmp_path / "own.jsonl", [{**row, "unconditional": "A:"} for row in rows(5)])
    command = ["--model", str(tmp_path / "tiny"), "--prompts", str(own), "-q", *options]
    assert main(["extract", *command, "-o", str(tmp_path / "a.h5")]) == 0
    with open_store(tmp_path / "a.h5") as store:
        assert store.run.protocol["unconditional"] == text


CHAT = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.mark.parametrize("text", ["", "Answer:"])
@pytest.mark.parametrize(
    ("chat", "before", "after"),
    [
        (Chat(template=True), "[user] ", "\n[assistant]"),
        (Chat(template=True, system="Be brief."), "[system] Be brief.\n[user] ", "\n[assistant]"),
        (Chat(system="Be brief."), "Be brief.\n\n", ""),
    ],
    ids=["chat", "chat and system", "system"],
)
def test_behind_a_chat_it_is_what_the_user_says(
    chat: Chat, before: str, after: str, text: str, tmp_path: Path
) -> None:
    """Log p(y | chat with x) - log p(y | chat with the text), of the same answers."""
    tokenizer, path = byte_tokenizer(), tmp_path / "run.h5"
    tokenizer.chat_template = CHAT
    plain = made(tmp_path)
    worded = chat.apply(with_unconditional(plain, text), tokenizer)
    Extractor(replace(extractor().loaded, tokenizer=tokenizer)).extract(worded, path, SMALL)
    model = extractor().loaded.model
    behind = f"{before}{text}{after}" if text or after else before.strip()
    with open_store(path, normalize="pmi") as store:
        assert store.rows("unconditional") == 3
        full, gram = store.array("test", "full"), store.label_gram("test")
        assert gram is not None and np.isfinite(gram).all()
        asked = [p for p in plain.prompts if p.split == "test"]
        for row, prompt, answers in zip(full, asked, store.answers("test"), strict=True):
            own = [
                log_p(model, before + prompt.text + after, a, chat.template)
                - log_p(model, behind, a, chat.template)
                for a in answers.text
            ]
            np.testing.assert_allclose(row[: len(own)], own, rtol=1e-4, atol=1e-4)


def test_what_rows_share_is_shared_beside_a_prompt_of_one_token() -> None:
    """A row that ends where others go on leaves them their prefix."""
    long = [[0, *range(5, 105), n] for n in range(20)]
    groups = plan_groups([*long, [0], [0]])
    assert max(len(group.prefix) for group in groups) == 101
    assert sorted(row for group in groups for row in group.rows) == list(range(22))


def test_the_token_that_a_text_begins_with(tmp_path: Path) -> None:
    """That of the tokenizer, or BOS where it adds none, or EOS; without any there is none."""
    prompts = with_unconditional(made(tmp_path))

    def first(tokenizer: Any) -> list[int]:
        return tokenize(prompts, tokenizer).ids[-1]

    assert first(byte_tokenizer()) == [0]
    bare = byte_tokenizer()
    bare._tokenizer.post_processor = None
    assert first(bare) == [0]
    bare.bos_token = None
    assert first(bare) == [1]
    bare.eos_token = None
    with pytest.raises(PromptError, match="no token that a text begins or ends with"):
        first(bare)


def test_a_prompt_of_spaces_alone(tmp_path: Path) -> None:
    """Spaces belong to the answers, so without a token in front nothing is left to run."""
    prompts, tokenizer = with_unconditional(made(tmp_path), "  "), byte_tokenizer()
    assert tokenize(prompts, tokenizer).ids[-1] == [tokenizer.bos_token_id]
    with pytest.raises(PromptError, match=r"row '0' \(unconditional\) has no tokens"):
        tokenize(replace(prompts, special_tokens=False), tokenizer)


def test_a_store_without_them_is_refused(tmp_path: Path, capsys: Any) -> None:
    """In one sentence that says how to have them, by every command."""
    path = tmp_path / "run.h5"
    extractor().extract(made(tmp_path), path, SMALL)
    with pytest.raises(StoreError, match="no answers behind an unconditional prompt"):
        open_store(path, normalize="pmi")
    for command in (["rank"], ["analyze"], ["reweight"], ["plot", "heatmap", "-o", "-"]):
        assert main([*command, str(path), "--normalize", "pmi"]) == 4
        err = capsys.readouterr().err
        assert "`compread extract` with --unconditional adds them" in err and err.count("\n") == 1
