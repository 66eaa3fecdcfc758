"""The weights file: exact, whole or absent, and checked when it is read."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compread.errors import StoreError, TargetError
from compread.reweight.fit import reweight
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.weights_file import Weights


@pytest.fixture(scope="module")
def fits(make_store):
    """Every method at two budgets on two stores."""
    methods = make_methods(list(METHODS), "official")
    return reweight([make_store(0), make_store(1, labels=3)], methods, (8, 20))


@pytest.fixture
def written(fits, tmp_path):
    """The file with those fits."""
    path = tmp_path / "weights.json"
    Weights(fits).write(path)
    return path


def test_what_is_read_is_what_was_written(fits, written):
    """Every field comes back, the weights to the bit, and scores the same."""
    again = Weights.read(written).fits
    assert [f.row() for f in again] == [f.row() for f in fits]
    for ours, theirs in zip(again, fits, strict=True):
        assert {k: v for k, v in vars(ours).items() if k != "fitted"} == {
            k: v for k, v in vars(theirs).items() if k != "fitted"
        }
        assert type(ours.fitted) is type(theirs.fitted)
        np.testing.assert_equal(ours.fitted.parameters(), theirs.fitted.parameters())


def test_temperatures_are_kept_and_older_files_read(make_store, tmp_path):
    """To the bit, under the checksum; a file that has none, as those of before, says so."""
    methods = make_methods(["full", "comprw"], "official")
    fits = reweight([make_store(0)], methods, temperatures=True)
    Weights(fits).write(path := tmp_path / "w.json")
    assert [fit.row() for fit in Weights.read(path).fits] == [fit.row() for fit in fits]
    document = json.loads(path.read_text())
    document["fits"][0]["temperature"] *= 2
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="does not agree with its checksum"):
        Weights.read(path)
    for fit in document["fits"]:
        del fit["temperature"], fit["test"]["calibration"], fit["test"]["scaled"]
    del document["checksum"]
    path.write_text(json.dumps(document))
    for fit in Weights.read(path).fits:
        assert (fit.temperature, fit.test.calibration, fit.test.scaled) == (None, None, None)


@pytest.mark.parametrize("key", ["recipe", "train_accuracy", "test"])
def test_what_a_fit_may_lack(written, key):
    """A recipe, and accuracies that nobody measured; not the rest."""
    document = json.loads(written.read_text())
    del document["checksum"]
    document["fits"][0][key] = None
    written.write_text(json.dumps(document))
    assert getattr(Weights.read(written).fits[0], key) is None
    document["fits"][0]["hyperparameters"] = None
    written.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="hyperparameters"):
        Weights.read(written)


def test_the_file_says_what_it_is(written):
    """Format, version, component names and labels are readable without compread."""
    document = json.loads(written.read_text(encoding="utf-8"))
    assert (document["format"], document["format_version"]) == ("compread-weights", 1)
    fit = next(f for f in document["fits"] if f["method"] == "comprw")
    assert fit["components"]["name"][:3] == ["embed", "L0H0", "L0H1"]
    assert len(fit["parameters"]["weights"]) == len(fit["components"]["name"])
    assert fit["labels"]["word"] == [" label0", " label1"]
    assert fit["labels"]["token_id"] == [100, 101]
    assert fit["run"]["fingerprint"] == "f00d" and fit["hyperparameters"]["l1"] == 0.01


def test_an_existing_file_stays_without_force(fits, written):
    """Without `force` the old file is kept to the byte; with it, it is replaced."""
    before = written.read_bytes()
    with pytest.raises(TargetError, match="exists; give another path, or --force"):
        Weights(fits[:1]).write(written)
    assert written.read_bytes() == before
    Weights(fits[:1]).write(written, force=True)
    assert len(Weights.read(written).fits) == 1


def test_a_write_that_fails_leaves_nothing(fits, written, monkeypatch):
    """When the disk fails, the old file is untouched and no other file is left."""

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    before = written.read_bytes()
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(TargetError, match="the disk is full"):
        Weights(fits[:1]).write(written, force=True)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


@pytest.mark.parametrize("name", ["", "missing/weights.json"])
def test_an_impossible_target_is_refused(fits, tmp_path, name):
    """A folder, and a file in a folder that is not there, are refused even with `force`."""
    with pytest.raises(TargetError, match="folder"):
        Weights(fits).write(tmp_path / name, force=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable weights file"),
        ("{", "not a readable weights file"),
        ("[" * 100_000, "not a readable weights file"),
        ("[]", "is not a weights file"),
        ('{"format": "compread"}', "is not a weights file"),
        ('{"format": "compread-weights", "format_version": 3}', "version 3; this compread reads 1"),
        ('{"format": "compread-weights", "format_version": 1}', "holds no fits"),
        ('{"format": "compread-weights", "format_version": 1, "fits": []}', "holds no fits"),
        ('{"format": "compread-weights", "format_version": 1, "fits": [3]}', "fit 1 is not an obj"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, message):
    """Empty, broken, foreign and newer files are told apart."""
    path = tmp_path / "weights.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as error:
        Weights.read(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_device_and_a_link(fits, tmp_path):
    """A device is refused even with `force`; a link stays, and the file it names is replaced."""
    with pytest.raises(TargetError, match="/dev/null is a device"):
        Weights(fits).write(Path("/dev/null"), force=True)
    (link := tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    Weights(fits).write(link)
    assert link.is_symlink() and len(Weights.read(tmp_path / "real.json").fits) == len(fits)


def test_a_pipe(written, tmp_path):
    """One that nobody writes to is no weights file, and is not waited for; else it is read."""
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(StoreError, match="is not a readable weights file"):
        Weights.read(pipe)
    with subprocess.Popen(["cat", written], stdout=subprocess.PIPE) as cat:
        piped = Weights.read(Path(f"/dev/fd/{cat.stdout.fileno()}"))
    assert [f.row() for f in piped.fits] == [f.row() for f in Weights.read(written).fits]


def test_a_folder_is_named(tmp_path):
    """A folder in place of the file has its own message."""
    with pytest.raises(StoreError, match="is a folder; give a file that `compread reweight"):
        Weights.read(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    """The message has the path."""
    with pytest.raises(StoreError, match=r"nope\.json: no such weights file"):
        Weights.read(tmp_path / "nope.json")


NAN = float("nan")
DAMAGE = {
    "an unknown method": (("method",), "magic", "no method 'magic'"),
    "a weight too few": (("parameters", "weights"), [1.0], r"of shape [12] (C), got [1]"),
    "a weight that is NaN": (
        ("parameters", "weights"),
        [NAN] * 12,
        "has a number that is not finite",
    ),
    "a weight past any float": (("parameters", "weights"), [10**400] * 12, "not an array"),
    "an accuracy past any float": (("test", "accuracy"), 10**400, "`accuracy` should be of type"),
    "a seed in words": (("run", "seed"), "one", "`run.seed` is 'one', wanted int"),
    "a model that is a list": (("run", "model"), [], "`run.model` is [], wanted str"),
    "a protocol that is a list": (("run", "protocol"), [], "`run.protocol` is [], wanted dict"),
    "weights that are words": (("parameters", "weights"), ["x"] * 12, "not an array of numbers"),
    "other parameters": (("parameters",), {"factors": [1, 1]}, "the method has ['weights']"),
    "a component renamed": (("components", "name", 1), "L9H9", "component 'L9H9' does not match"),
    "a kind unknown": (("components", "kind", 1), "neuron", "does not match its kind"),
    "a column too short": (("components", "layer"), [1], "differ in length"),
    "a label without a token": (("labels", "token_id"), [1], "one token id each"),
    "another number of rows": (("n_train",), 7, "not the number of `train_ids`"),
    "an accuracy in words": (("test", "accuracy"), "high", "`accuracy` should be of type float"),
    "an accuracy that is NaN": (("test", "accuracy"), NAN, "`accuracy` should be of type float"),
    "epochs as a fraction": (("epochs",), 1.5, "`epochs` should be of type int"),
    "a gap in words": (("gap",), "wide", "`gap` should be of type float"),
    "ids that are numbers": (("train_ids",), [1] * 8, "a list of type str"),
    "no temperature above 0": (("temperature",), 0.0, "`temperature` is 0.0, expected more than 0"),
    "a temperature in words": (("temperature",), "hot", "`temperature` should be of type float"),
    "a calibration in words": (("test", "calibration"), "good", "`calibration` should be of type"),
    "a calibration without a number": (("test", "scaled"), {"ece": 0.1}, "has no `ece_adaptive`"),
    "a run without a field": (("run",), {"model": "m"}, "`run` is not that of a store"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_field_is_named(written, damage):
    """The message says which fit, which field, and what was expected."""
    (*keys, last), value, message = DAMAGE[damage]
    document = json.loads(written.read_text(encoding="utf-8"))
    number = [f["method"] for f in document["fits"]].index("comprw")
    place = document["fits"][number]
    for key in keys:
        place = place[key]
    place[last] = value
    del document["checksum"]
    written.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(StoreError) as error:
        Weights.read(written)
    assert f"fit {number + 1}" in str(error.value) and message in str(error.value)


@pytest.mark.parametrize("field", ["method", "components", "parameters", "run", "train_ids"])
def test_a_missing_field_is_named(written, field):
    """A field that is not there is refused by name."""
    document = json.loads(written.read_text(encoding="utf-8"))
    del document["fits"][0][field], document["checksum"]
    written.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(StoreError, match=f"fit 1 has no `{field}`"):
        Weights.read(written)


def meaning(text):
    """What a document says, floats to the bit."""
    document = json.loads(text)
    document.pop("checksum", None)
    return json.dumps(document, sort_keys=True)


@pytest.mark.parametrize("bit", [1, 16, 128])
def test_a_flipped_bit_is_refused_or_means_nothing(fits, tmp_path, bit):
    """Whichever byte is changed, the file is refused in one line or says what it said."""
    path = tmp_path / "weights.json"
    Weights(tuple(fit for fit in fits if fit.method == "comprw")[:1]).write(path)
    whole = path.read_bytes()
    kept = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        try:
            weights = Weights.read(path)
        except StoreError as error:
            assert "\n" not in str(error)
            continue
        kept += 1
        assert weights.checked and meaning(path.read_text(encoding="utf-8")) == meaning(whole)
    assert kept < len(whole) / 100


def test_a_file_that_was_changed_says_how_to_go_on(written):
    """One digit is enough; without the line it is read, and known to be unchecked."""
    lines = written.read_text(encoding="utf-8").splitlines(keepends=True)
    assert Weights.read(written).checked and lines[1].startswith('"checksum": ')
    lines[3] = lines[3].replace('"n_train": 8', '"n_train": 8 ').replace('"seed": 0', '"seed": 5')
    written.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(StoreError, match=r"damaged or was edited; .* take out its line `checksum`"):
        Weights.read(written)
    del lines[1]
    written.write_text("".join(lines), encoding="utf-8")
    weights = Weights.read(written)
    assert not weights.checked and weights.fits[0].run.seed == 5


def test_spaces_are_not_damage(fits, written):
    """A file that was laid out anew is the same file."""
    document = json.loads(written.read_text(encoding="utf-8"))
    written.write_text(json.dumps(document, indent=3), encoding="utf-8")
    assert len(Weights.read(written).fits) == len(fits)


@pytest.mark.parametrize("value", [None, 5, [], {}, "", "0" * 64, True, 10**400, [[[]]] * 1000])
@pytest.mark.parametrize("field", ["checksum", "fits", "compread", "format_version", "more"])
def test_a_field_of_another_kind_is_one_line(written, field, value):
    """At the top of the file, any value where it does not belong is refused."""
    document = json.loads(written.read_text(encoding="utf-8"))
    document[field] = value
    written.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(StoreError) as error:
        Weights.read(written)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_how_far_a_fit_can_be_from_the_minimum_is_kept(fits, tmp_path):
    """The gap comes back; a wide one is told of with the file, and older files say none."""
    fit = next(fit for fit in fits if fit.method == "comprw")
    path = tmp_path / "weights.json"
    for gap, told in ((None, 0), (0.004, 0), (0.25, 1)):
        Weights((replace(fit, fitted=replace(fit.fitted, gap=gap)),)).write(path, force=True)
        weights = Weights.read(path)
        assert weights.fits[0].fitted.gap == gap and len(weights.doubts(path)) == told
    assert "25.0% above its minimum" in weights.doubts(path)[0]
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["fits"][0]["gap"], document["checksum"]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert Weights.read(path).fits[0].fitted.gap is None
