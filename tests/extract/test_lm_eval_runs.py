"""What a store holds of a task of lm-evaluation-harness is what that library says of the model.

Its softmax is taken in double precision: in float32, on a CPU, the sum over a vocabulary is off by
1e-5 a token, which long answers add up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from loud import loud_model
from prompts.lm_eval_tasks import write_task
from test_golden import model_file
from tiny_folder import TINY, byte_tokenizer, write_rows

from compread.extract import ExtractOptions, Extractor
from compread.model import LoadedModel, ModelRequest, load_model
from compread.model.load.fingerprint import fingerprint
from compread.prompts import lm_eval_sets, read_prompt_file
from compread.store import open_store

pytest.importorskip("lm_eval", reason="lm-eval is not installed (compread[lm-eval])")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
LIMIT = 20


def scorer(model: Any, tokenizer: Any) -> Any:
    """The library's own model."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=4, max_length=256, softmax_dtype="float64"
    )


def said_by_lm_eval(folder: Path, model: Any, shots: int) -> list[tuple[list[float], Any]]:
    """Log-likelihoods and metrics of each document, by the library's own model and task."""
    from lm_eval.tasks import TaskManager

    task = TaskManager(include_path=str(folder), include_defaults=False).load("made")["tasks"][
        "made"
    ]
    task.set_fewshot_seed(1234)
    task.set_config("num_fewshot", shots)
    task.build_all_requests(limit=LIMIT)
    said = scorer(model, byte_tokenizer()).loglikelihood(task.instances, disable_tqdm=True)
    found: dict[int, list[Any]] = {}
    for one, result in zip(task.instances, said, strict=True):
        found.setdefault(one.doc_id, []).append(result)
    return [
        ([log_p for log_p, _ in results], task.process_results(doc, results))
        for (_, doc), results in zip(task.doc_iterator(limit=LIMIT), found.values(), strict=True)
    ]


@pytest.mark.parametrize("shots", [0, 3])
def test_log_probabilities_and_accuracies(
    shots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log p of each answer, and what is right by acc and by acc_norm, row by row."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_task(tmp_path / "tasks")
    model = loud_model(TINY, torch.float32)
    loaded = LoadedModel(ModelRequest("tiny"), None, model, byte_tokenizer(), fingerprint(model))
    (made,) = lm_eval_sets("lm_eval:made", shots=shots, include_path=folder, limit=LIMIT)
    Extractor(loaded).extract(made, tmp_path / "run.h5", ExtractOptions(command="compread extract"))
    want = said_by_lm_eval(folder, model, shots)
    for normalize, metric in (("none", "acc"), ("characters", "acc_norm")):
        with open_store(tmp_path / "run.h5", normalize=normalize) as store:
            split = store.split("test")
            assert len(want) == len(split.id) == LIMIT
            for n, (log_p, metrics) in enumerate(want):
                got = split.full[n, : len(log_p)]
                if normalize == "none":
                    np.testing.assert_allclose(got, log_p, atol=1e-4, rtol=1e-6)
                assert int(np.argmax(got) == split.gold[n]) == metrics[metric]
    accuracies = [metrics["acc"] for _, metrics in want]
    assert 0 < sum(accuracies) < LIMIT


def cloze(n: int) -> Iterator[dict[str, Any]]:
    """Rows with four answers of one to ten words each."""
    words = [
        "the",
        "old",
        "river",
        "sings",
        "over",
        "stones",
        "while",
        "a",
        "dog",
        "never",
        "leaves",
    ]
    draw = random.Random(0)
    for k in range(n):
        own = [" " + " ".join(draw.choices(words, k=size)) for size in draw.sample(range(1, 11), 4)]
        text = " ".join(draw.choices(words, k=draw.randint(3, 10)))
        yield {"prompt": f"Question: {text}?\nAnswer:", "options": own, "label": k % 4}


def test_log_probabilities_of_a_real_model(tmp_path: Path) -> None:
    """In float32, within 1e-4 of a log p of -100: of whole answers, shared prompts and all."""
    from lm_eval.api.instance import Instance

    loaded = load_model(ModelRequest(str(model_file()), dtype="float32"))
    prompts = read_prompt_file(write_rows(tmp_path / "cloze.jsonl", list(cloze(6))))
    Extractor(loaded).extract(prompts, tmp_path / "run.h5", ExtractOptions(command="extract"))
    pairs = [(row.text, answer) for row in prompts.prompts for answer in row.answers]
    asked = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
    said = scorer(loaded.model, loaded.tokenizer).loglikelihood(asked, disable_tqdm=True)
    with open_store(tmp_path / "run.h5") as store:
        found = store.array("test", "full").ravel()
    np.testing.assert_allclose(found, [log_p for log_p, _ in said], atol=1e-4, rtol=0)
