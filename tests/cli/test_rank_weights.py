"""``compread rank --weights``: which components fitted weights turn up and down."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from test_reweight import seal, write_store

from compread.cli import main
from compread.errors import StoreError
from compread.reweight.select import mean_weights
from compread.reweight.weights_file import Weights


@pytest.fixture
def made(tmp_path):
    """Two stores and the weights of two methods on both, with two numbers of train rows."""
    stores = [write_store(tmp_path / f"{seed}.h5", seed) for seed in range(2)]
    path = tmp_path / "w.json"
    command = ["reweight", *stores, "--methods", "full,comprw,blend", "--n-train", "6,12"]
    assert main(list(map(str, [*command, "--save", path]))) == 0
    return stores, path


def rank(capsys, *arguments):
    """Status, stdout and stderr."""
    capsys.readouterr()
    status = main(["rank", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_weights_are_the_means_over_the_fits_with_most_rows(capsys, made):
    """Those of the default method, by component; the full model has none."""
    stores, path = made
    status, out, _ = rank(capsys, *stores, "--weights", path, "--top", 0, "--format", "json")
    rows = json.loads(out)
    fits = [f for f in Weights.read(path).fits if f.method == "blend" and len(f.train_ids) == 12]
    mean = np.mean([f.fitted.weights for f in fits], axis=0)
    names = [c.name for c in fits[0].components]
    assert status == 0 and len(fits) == 2 and len(rows) == len(names) - 2 + 1
    for row in rows[:-1]:
        assert row["weight"] == pytest.approx(mean[names.index(row["component"])])
    assert rows[-1]["component"] == "full" and rows[-1]["weight"] is None
    assert "weight" in rank(capsys, *stores, "--weights", path)[1]
    assert "weight" not in json.loads(rank(capsys, *stores, "--format", "json")[1])[0]


def test_weights_of_another_model_or_of_no_component_are_refused(capsys, made, tmp_path):
    """One line, and the status of a store that does not match."""
    stores, path = made
    seal(path, json.loads(path.read_text().replace("f00d", "beef")))
    status, out, err = rank(capsys, *stores, "--weights", path)
    assert (status, out) == (4, "") and "fingerprint" in err
    none = tmp_path / "none.json"
    main(["reweight", str(stores[0]), "--methods", "full,bc", "--save", str(none)])
    status, out, err = rank(capsys, *stores, "--weights", none)
    assert (status, out) == (2, "") and "--methods blend --save" in err


def test_weights_of_other_components_are_refused(capsys, made):
    """Also of the same model, as where its store was made by another version."""
    _, path = made
    fits = Weights.read(path).fits
    whole = fits[0].components
    run = SimpleNamespace(path="a.h5", info=fits[0].run, components=whole)
    assert len(mean_weights(fits, [run]).values) == len(whole)
    run.components, other = whole[:-1], r"a\.h5 has other components than .*0\.h5"
    with pytest.raises(StoreError, match=other):
        mean_weights(fits, [run])


def test_each_model_has_its_own_weights(capsys, made, tmp_path):
    """Fits of two models in one file: a store gets those of its own."""
    stores, _ = made
    other = write_store(tmp_path / "other.h5", 5, model="beef")
    path, of_json = tmp_path / "both.json", ("--top", 0, "--format", "json")
    command = ["reweight", *stores, other, "--methods", "comprw", "--save", path]
    assert main(list(map(str, command))) == 0
    [fit] = [f for f in Weights.read(path).fits if f.run.fingerprint == "beef"]
    _, out, _ = rank(capsys, other, "--weights", path, *of_json)
    names = [c.name for c in fit.components]
    for row in json.loads(out)[:-1]:
        expected = float(fit.fitted.weights[names.index(row["component"])])
        assert row["weight"] == pytest.approx(expected)
    mine = json.loads(rank(capsys, stores[0], "--weights", path, *of_json)[1])
    theirs = json.loads(out)
    assert {r["component"]: r["weight"] for r in mine} != {
        r["component"]: r["weight"] for r in theirs
    }


def test_order_and_method_of_weights(capsys, made):
    """`--by weight` sorts by them, `--method` says whose; neither goes without a file."""
    stores, path = made
    of_json = ("--top", 0, "--format", "json", "--weights", path)
    order = {}
    for method in ("comprw", "blend"):
        rows = json.loads(rank(capsys, *stores, *of_json, "--by", "weight", "--method", method)[1])[
            :-1
        ]
        values = [row["weight"] for row in rows]
        assert values == sorted(values, reverse=True) and len(set(values)) > 1
        order[method] = [(row["component"], row["weight"]) for row in rows]
    assert order["comprw"] != order["blend"]
    for arguments, words in (
        (["--by", "weight"], "want --weights FILE"),
        (["--method", "comprw"], "want --weights FILE"),
        (["--weights", path, "--method", "full"], "full"),
        (["--weights", path, "--heatmap"], "plot weights"),
    ):
        status, out, err = rank(capsys, *stores, *arguments)
        assert (status, out) == (2, "") and words in err


def test_the_plot_shows_the_weights_of_the_table(capsys, made, tmp_path):
    """`plot weights` and `rank --weights` have one number for a component of one file."""
    stores, path = made
    _, out, _ = rank(capsys, *stores, "--weights", path, "--top", 0, "--format", "json")
    told = {row["component"]: row["weight"] for row in json.loads(out)[:-1]}
    drawn = tmp_path / "w.json.json"
    assert main(["plot", "weights", str(path), "-o", str(drawn)]) == 0
    cells = json.loads(drawn.read_text())
    assert "Weights by blend, 12 train rows, mean of 2 fits" in cells[0]["panel"]
    kinds = {"MLP": "MLP", "MIX": "MIX"}
    names = {f"L{c['column']}{kinds.get(c['row'], 'H' + c['row'])}": c["value"] for c in cells}
    assert names == pytest.approx(told)
