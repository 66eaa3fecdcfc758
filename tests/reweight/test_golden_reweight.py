"""The released trainers' accuracies on what the paper's own code computed."""

import json
from pathlib import Path

import numpy as np
import pytest

from compread.components import LayerShape, component_axis
from compread.reweight.registry import make_methods
from compread.reweight.rows import Rows, Training

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
RELEASED = {  # train rows: accuracy of full, calib+, comprw; the epoch at which comprw stopped
    12: ((0.515625, 0.796875, 0.812500), 1178),
    20: ((0.515625, 0.796875, 0.804688), 59),
}


@pytest.fixture(scope="module")
def golden():
    """The arrays as rows on our component axis, embedding and biases zero, and right labels."""
    if not (GOLDEN / "sst2-0.npz").is_file():
        pytest.skip("the golden numbers of the paper's code are not beside this checkout")
    arrays = np.load(GOLDEN / "sst2-0.npz")
    lines = map(json.loads, (GOLDEN / "sst2-0.jsonl").read_text(encoding="utf-8").splitlines())
    prompts, words = list(lines), list(arrays["words"])
    splits = {}
    for split, suffix in (("train", "dev"), ("test", "test")):
        heads, mlps = arrays[f"heads_{suffix}"], arrays[f"mlps_{suffix}"]
        layers, n_heads, n, k = heads.shape
        both = np.concatenate([heads, mlps[:, None]], axis=1).reshape(-1, n, k)
        zero = np.zeros((1, n, k), np.float32)
        parts = np.concatenate([zero, both, zero]).swapaxes(0, 1)
        axis = component_axis([LayerShape(n_heads)] * layers)
        rows = Rows(parts, arrays[f"full_{suffix}"], axis)
        gold = np.array([words.index(p["label"]) for p in prompts if p["split"] == split])
        splits[split] = Training(rows, gold, tuple(map(str, range(n))))
    return splits


@pytest.mark.parametrize("n_train", RELEASED)
def test_the_released_accuracies(golden, n_train):
    """Accuracy within one test row of the released trainer's, and the same stop epoch."""
    train, test = golden["train"], golden["test"]
    first = Rows(train.rows.parts[:n_train], train.rows.full[:n_train], train.rows.components)
    wanted, stop = RELEASED[n_train]
    for method, accuracy in zip(
        make_methods(["full", "calib+", "comprw"], "official"), wanted, strict=True
    ):
        (fit,) = method.fit([Training(first, train.gold[:n_train], train.id[:n_train])])
        share = (fit.scores(test.rows).argmax(1) == test.gold).mean()
        assert abs(share - accuracy) < 1.5 / len(test), method.name
        if method.name == "comprw":
            assert fit.epochs == stop
