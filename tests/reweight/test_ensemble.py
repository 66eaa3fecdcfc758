"""Several stores of one task: averaged, fitted together, kept, applied, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from compread.errors import StoreError, UsageError, worded
from compread.reweight.ensemble import Ensemble, ensembles
from compread.reweight.ensemble_apply import applied, apply_ensembles, named, retold_ensemble
from compread.reweight.fit import reweight
from compread.reweight.matching import matched
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.results import document
from compread.reweight.rows import rows_of
from compread.reweight.select import choose_ensemble
from compread.reweight.weights_file import Weights, checksum
from compread.store.schema import Labels

WORDS = ((" no", " yes", " maybe"), (" bad", " good", " dull"))


def family(make_store, seeds=(0, 1), templates=("a", "b"), labels=2, n_test=60, n_train=12):
    """Stores of one task: the test rows of all and the train rows of a seed are the same rows."""
    first = make_store(99, labels=labels, n_train=0, n_test=n_test).split("test").gold
    found = []
    for seed in seeds:
        rows = make_store(50 + seed, labels=labels, n_train=n_train).split("train")
        for t, template in enumerate(templates):
            store = make_store(
                10 * seed + t, labels=labels, n_train=n_train, n_test=n_test, template=template,
                path=f"{template}-{seed}.h5",
            )  # fmt: skip
            ids = tuple(f"s{seed}-{i}" for i in range(n_train))
            splits = {
                "train": _told(store.split("train"), rows.gold, ids),
                "test": _told(store.split("test"), first, store.split("test").id),
            }
            words = Labels(
                (WORDS[t] * labels)[:labels] if labels < 4 else store.labels.word,
                tuple(range(labels)),
            )
            run = replace(store.run, seed=seed, demonstrations=(f"d{seed}",))
            found.append(replace(store, labels=words, run=run, splits={**store.splits, **splits}))
    return found


def _told(split, gold, ids):
    """The split with other right labels, which parts 2 and 8 know."""
    parts = split.parts.copy()
    eye = np.eye(parts.shape[2], dtype=np.float32)
    parts[:, [2, 8]] += (eye[gold] - eye[split.gold])[:, None]
    return replace(split, parts=parts, full=parts.sum(1), gold=gold, id=ids)


def fitted(stores, how, titles=("blend",), budgets=(12,)):
    """The single fits and the ensembles."""
    methods = make_methods(list(titles), "official")
    fits = reweight(stores, methods, budgets)
    return fits, ensembles(stores, fits, methods, budgets, how)


@pytest.mark.parametrize("method", ["full", "bc", "comprw", "centroid", "vote", "blend"])
def test_scores_of_one_size_are_averaged(make_store, method):
    """Beside loops that centre, scale and add the members' scores, row by row."""
    stores = family(make_store, seeds=(0,))
    fits, (one,) = fitted(stores, "templates", (method,))
    total = np.zeros((60, 2))
    for fit, store in zip(fits, stores, strict=True):
        train = fit.fitted.scores(rows_of(store.split("train"), store.components))
        apart = [row - row.mean() for row in train]
        level = sum(apart) / 12
        size = np.sqrt(sum(((row - level) ** 2).sum() for row in apart) / 24)
        scores = fit.fitted.scores(rows_of(store.split("test"), store.components))
        total += np.array([(row - row.mean()) / size for row in scores]) / 2
    rows = [rows_of(store.split("test"), store.components) for store in stores]
    np.testing.assert_allclose(one.scores(rows), total, atol=1e-12)
    right = (total.argmax(axis=1) == stores[0].split("test").gold).mean()
    assert one.test.accuracy == pytest.approx(right) and one.test.n == 60
    assert one.labelled == 12  # two templates word the same rows


def test_seeds_weigh_components_on_all_their_rows(make_store):
    """Blend's weights are those of one store with both stores' rows, each centred on its own."""
    stores = family(make_store, templates=("a",))
    _, (one,) = fitted(stores, "seeds")
    splits = [store.split("train") for store in stores]
    parts = np.concatenate([s.parts - s.parts.mean(axis=0, dtype=float) for s in splits])
    whole = replace(
        splits[0], parts=parts.astype(np.float32), gold=np.concatenate([s.gold for s in splits]),
        full=np.concatenate([s.full for s in splits]), id=tuple(map(str, range(24))),
    )  # fmt: skip
    both = replace(stores[0], splits={**stores[0].splits, "train": whole})
    (alone,) = reweight([both], make_methods(["blend"], "official"), (24,))
    for member, split in zip(one.members, splits, strict=True):
        np.testing.assert_allclose(member.fitted.weights, alone.fitted.weights, atol=1e-9)
        levels = np.einsum("ncy,c->ny", split.parts, member.fitted.weights).mean(axis=0)
        np.testing.assert_allclose(member.fitted.levels, levels, atol=1e-5)
        assert member.fitted.trained == 12 and len(member.train_ids) == 24
    assert (one.n_train, one.labelled) == (12, 24)


OTHERS = sorted(set(METHODS) - {"blend", "blend-row", "cc", "dc", "procal"})


@pytest.mark.parametrize("method", OTHERS)
def test_other_methods_are_fitted_store_by_store(make_store, method):
    """Over seeds their ensemble has the single fits as members."""
    fits, (one,) = fitted(family(make_store, templates=("a",)), "seeds", (method,))
    for member, fit in zip(one.members, fits, strict=True):
        np.testing.assert_equal(member.fitted.parameters(), fit.fitted.parameters())


@pytest.mark.parametrize(
    ("how", "groups"),
    [("templates", [[0, 1], [2, 3]]), ("seeds", [[0, 2], [1, 3]]), ("both", [[0, 1, 2, 3]])],
)
def test_stores_that_differ_in_one_thing_belong_together(make_store, how, groups):
    """Templates of one seed, seeds of one template, or all of a task; other tasks are apart."""
    stores = family(make_store)
    assert [group for group, _ in matched(stores, how)] == groups
    other = [replace(s, run=replace(s.run, task="qqp")) for s in stores]
    assert [group for group, _ in matched([*stores, *other], how)] == [
        *groups, *([4 + n for n in group] for group in groups),
    ]  # fmt: skip


def test_prompt_files_of_the_same_rows_are_an_ensemble(make_store, tmp_path):
    """Each is a wording, as a template is: fitted, kept and applied as those are."""
    of_task = family(make_store, seeds=(0,))
    from_file = {"template": None, "template_text": None, "seed": None}
    stores = [
        replace(s, run=replace(s.run, task=f"ask-{n}", **from_file)) for n, s in enumerate(of_task)
    ]
    fits, some = fitted(stores, "templates")
    _, (wanted,) = fitted(of_task, "templates")
    rows = [rows_of(s.split("test"), s.components) for s in stores]
    np.testing.assert_array_equal(some[0].scores(rows), wanted.scores(rows))
    assert some[0].row()["templates"] == ["ask-0", "ask-1"]
    Weights(fits, some).write(tmp_path / "w.json")
    (kept,) = Weights.read(tmp_path / "w.json").ensembles
    (found,) = apply_ensembles([kept], stores[::-1])
    assert found.together.test.accuracy == some[0].test.accuracy
    other = replace(stores[1], run=replace(stores[1].run, prompt_set="another", task="ask-7"))
    with pytest.raises(StoreError, match=r"is of task ask-7|template ask-7"):
        apply_ensembles([kept], [stores[0], other])
    with pytest.raises(StoreError, match="names no seed"):
        matched(stores, "both")
    few = replace(stores[1].split("test"), id=tuple(f"x{n}" for n in range(60)))
    apart = replace(stores[1], splits={**stores[1].splits, "test": few})
    with pytest.raises(StoreError, match="the only store of a prompt file with its model and test"):
        matched([stores[0], apart], "templates")


def turned(store):
    """A copy of another template whose columns 0, 1, 2 are the store's 2, 0, 1."""
    order = [2, 0, 1]
    back = np.argsort(order)
    return replace(
        store,
        labels=Labels(tuple(store.labels.word[k] for k in order), (2, 0, 1)),
        run=replace(store.run, template="c"),
        splits={
            name: replace(
                split, parts=split.parts[:, :, order], full=split.full[:, order],
                gold=back[split.gold],
            )
            for name, split in store.splits.items()
        },
    )  # fmt: skip


def test_shares_in_numbers_go_with_their_labels(make_store):
    """A member with its labels in another order has them so; fitting refuses what is ambiguous."""
    stores = family(make_store, seeds=(0,), labels=3)
    pair = [stores[0], turned(stores[0])]
    _, (one,) = fitted(pair, "templates")
    told = retold_ensemble(one, (0.6, 0.3, 0.1)).members
    found = [member.hyperparameters["label_shares"] for member in told]
    assert found == [[0.6, 0.3, 0.1], [0.1, 0.6, 0.3]]
    with pytest.raises(UsageError, match="2 shares, and the rows have 3 labels"):
        retold_ensemble(one, (0.6, 0.4))
    methods = make_methods(["blend"], None, (0.6, 0.3, 0.1))
    fits = reweight(pair, methods, (12,))
    with pytest.raises(UsageError, match="so that numbers would be of other labels"):
        ensembles(pair, fits, methods, (12,), "templates")


def test_classes_are_matched_by_name_in_any_order(make_store):
    """A store whose columns stand in another order has the scores of the one it is a copy of."""
    stores = family(make_store, seeds=(0,), labels=3)
    copy = turned(stores[0])
    _, (one,) = fitted([stores[0], copy], "templates")
    assert one.columns == ((0, 1, 2), (1, 2, 0))
    rows = [rows_of(s.split("test"), s.components) for s in (stores[0], copy)]
    alone = Ensemble.of_one(one.members[0]).scores(rows[:1]) / one.sizes[0]
    np.testing.assert_allclose(one.scores(rows), alone, atol=1e-4)
    _, (other,) = fitted([copy, stores[0]], "templates")
    assert other.test.accuracy == one.test.accuracy


def _other_rows(store):
    return replace(store, splits={**store.splits, "test": replace(store.split("test"), id=("x",))})


def _other_gold(store):
    split = store.split("test")
    return replace(store, splits={**store.splits, "test": replace(split, gold=1 - split.gold)})


def _other_words(store):
    labels = Labels((" a", " b", " c"), (1, 2, 3))
    return replace(store, labels=labels)


def _changed(**changes):
    return lambda store: replace(store, run=replace(store.run, **changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_rows, "b-0.h5 has other test rows than a-0.h5"),
        (_other_gold, "b-0.h5 has other classes than a-0.h5: row test-0 is"),
        (_other_words, "b-0.h5 has the 3 classes  a,  b,  c, and a-0.h5 the 2"),
        (_changed(task="qqp"), "a-0.h5 is the only store of task sst2 and seed 0"),
        (_changed(seed=4), "a-0.h5 is the only store of task sst2 and seed 0"),
        (_changed(shots=8), "a-0.h5 is the only store"),
        (_changed(fingerprint="beef"), "a-0.h5 is the only store"),
        (_changed(template=None), "a-0.h5 is the only store of task sst2 and seed 0"),
        (lambda store: replace(store, components=store.components[:-1]), "other components"),
    ],
)
def test_stores_that_do_not_belong_together_are_refused(make_store, change, message):
    """In one sentence that names the store and the reason."""
    first, second = family(make_store, seeds=(0,))
    with pytest.raises(StoreError) as error:
        matched([first, change(second)], "templates")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_stores_with_other_numbers_of_train_rows_learn_from_as_many_of_each(make_store):
    """All rows of each are refused with the number that they all have, and that works."""
    stores = [family(make_store, seeds=(0,), n_train=n)[t] for t, n in enumerate((12, 8))]
    with pytest.raises(StoreError) as error:
        matched(stores, "templates", (4, None))
    assert worded(str(error.value)) == (
        "b-0.h5 has 8 train rows and a-0.h5 12: an ensemble learns from as many of each store; "
        "give --n-train 8"
    )
    fits, found = fitted(stores, "templates", budgets=(8,))
    (row,) = document(fits, None, found)["ensembles"]
    assert row["n_train"] == 8 and row["store_accuracy"] > 0.5


@pytest.mark.parametrize("labels", [2, 20])
@pytest.mark.parametrize("budget", [1, 2, 12])
@pytest.mark.parametrize("how", ["templates", "seeds", "both"])
def test_few_rows_and_many_classes(make_store, how, budget, labels):
    """Whatever a member knows of the size of its scores, all scores are finite."""
    stores = family(make_store, labels=labels)
    _, found = fitted(stores, how, ("blend", "comprw", "bc-train"), (budget,))
    assert all(0 <= one.test.accuracy <= 1 for one in found)
    assert all(np.isfinite(one.sizes).all() and min(one.sizes) > 0 for one in found)


def test_a_member_that_says_nothing_has_no_say(make_store):
    """Constant parts make constant scores, which are not blown up to the others' size."""
    first, second = family(make_store, seeds=(0,))
    flat = {
        name: replace(split, parts=np.full_like(split.parts, 0.1), full=np.ones_like(split.full))
        for name, split in second.splits.items()
    }
    fits, (one,) = fitted([first, replace(second, splits=flat)], "templates")
    assert one.sizes[1] == 1 and one.test.accuracy == fits[0].test.accuracy


def test_right_labels_of_test_rows_are_not_looked_at(make_store):
    """Shuffled, they leave members and sizes as they are."""
    stores = family(make_store)
    order = np.random.default_rng(0).permutation(60)
    shuffled = [
        replace(s, splits={**s.splits, "test": replace(t, gold=t.gold[order])})
        for s, t in ((s, s.split("test")) for s in stores)
    ]
    _, (one,) = fitted(stores, "both")
    _, (other,) = fitted(shuffled, "both")
    assert one.sizes == other.sizes and one.test != other.test
    for ours, theirs in zip(one.members, other.members, strict=True):
        np.testing.assert_equal(ours.fitted.parameters(), theirs.fitted.parameters())


@pytest.fixture(scope="module")
def four(make_store):
    """Four stores, their fits, and their ensembles of two methods."""
    stores = family(make_store)
    return stores, *fitted(stores, "both", ("blend", "comprw"), (8, 12))


@pytest.fixture
def kept(four, tmp_path):
    """The same, and a file of them."""
    stores, fits, some = four
    path = tmp_path / "w.json"
    Weights(fits, some).write(path)
    return stores, fits, some, path


def test_a_file_gives_back_what_it_was_given(kept):
    """Fits and ensembles come back with the same scores, and the file says that it has both."""
    stores, fits, some, path = kept
    read = Weights.read(path)
    assert read.checked and json.loads(path.read_text())["format_version"] == 2
    assert [fit.row() for fit in read.fits] == [fit.row() for fit in fits]
    assert [one.row() for one in read.ensembles] == [one.row() for one in some]
    rows = [rows_of(s.split("test"), s.components) for s in stores]
    for ours, theirs in zip(read.ensembles, some, strict=True):
        np.testing.assert_array_equal(ours.scores(rows), theirs.scores(rows))


def test_a_file_without_ensembles_is_as_before(kept, tmp_path):
    """Its version is the first, which older compread reads too."""
    Weights(kept[1]).write(tmp_path / "single.json")
    document = json.loads((tmp_path / "single.json").read_text())
    assert document["format_version"] == 1 and "ensembles" not in document


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("how", "all", "`how` of templates, seeds, both"),
        ("sizes", [1.0], "`sizes` should be a number above 0 for each member"),
        ("sizes", [1.0, 1.0, 0.0, 1.0], "`sizes` should be a number above 0"),
        ("columns", [[0, 1]] * 3, "`columns` should have each of [0, 1]"),
        ("columns", [[0, 0]] * 4, "`columns` should have each of [0, 1]"),
        ("columns", [["0", "1"]] * 4, "`columns` should have each of [0, 1]"),
        ("columns", [[False, True]] * 4, "`columns` should have each of [0, 1]"),
        ("columns", [[0, [1]]] * 4, "`columns` should have each of [0, 1]"),
        ("members", [], "should be of several fits of one method"),
        ("members", [3, 4], "member 1 is not an object"),
        ("n_train", "8", "`n_train` should be of type int"),
    ],
)
def test_a_crafted_file_is_refused(kept, field, value, message):
    """One line that says which field of which ensemble."""
    path = kept[-1]
    document = json.loads(path.read_text())
    document["ensembles"][1][field] = value
    path.write_text(json.dumps({**document, "checksum": checksum(document)}))
    with pytest.raises(StoreError) as error:
        Weights.read(path)
    assert message in str(error.value) and "ensemble 2" in str(error.value)


def test_versions_and_ensembles_agree(kept):
    """A file of the second version without ensembles is damaged."""
    path = kept[-1]
    document = json.loads(path.read_text())
    del document["ensembles"]
    path.write_text(json.dumps({**document, "checksum": checksum(document)}))
    with pytest.raises(StoreError, match="its version and its ensembles disagree"):
        Weights.read(path)


def test_applied_to_its_own_stores_it_scores_as_it_did(kept):
    """In any order of the stores, and every member beside it."""
    stores, _, some, path = kept
    read = Weights.read(path)
    forms = named(read.fits, read.ensembles, ["blend"])
    rows = applied(*forms, stores[::-1])
    whole = [row for row in rows if row["ensemble"]]
    assert [row["accuracy"] for row in whole] == [
        one.test.accuracy for one in some if one.first.method == "blend"
    ]
    assert len(rows) == 2 * 5 and all(set(row) == set(rows[0]) for row in rows)
    assert rows[-1]["stores"] == [str(s.path) for s in stores[::-1]]
    assert (rows[-1]["n_train"], rows[-1]["ensemble"]) == (24, "both")


def test_behind_other_demonstrations_a_template_s_member_scores(kept):
    """With the form that knows nothing of the levels there."""
    stores, _, some, _ = kept
    moved = [replace(s, run=replace(s.run, seed=7, demonstrations=("z",))) for s in stores[:2]]
    (one,) = [e for e in some if e.first.method == "blend" and e.n_train == 12]
    (done,) = apply_ensembles([one], moved)
    scores = one.average([
        member.fitted.elsewhere().scores(rows_of(store.split("test"), store.components))
        if n < 2 else np.zeros((60, 2))
        for n, (member, store) in enumerate(zip(one.members, [*moved, None, None], strict=True))
    ])  # fmt: skip
    right = (scores.argmax(axis=1) == stores[0].split("test").gold).mean()
    assert done.together.test.accuracy == pytest.approx(right)


@pytest.mark.parametrize(
    ("chosen", "change", "message"),
    [
        ([0, 2], {}, "has a member of template b of sst2, and no store is of that"),
        ([0, 1], {"task": "qqp"}, "is of task qqp, and the ensembles of sst2"),
        ([0, 1], {"template": "z"}, "is of template z, and the ensemble of a, b"),
        ([0, 1], {"fingerprint": "beef"}, "fit weights on stores of this model"),
    ],
)
def test_it_is_not_applied_to_what_it_says_nothing_of(kept, chosen, change, message):
    """Another task, model or template, or one of its templates missing: one sentence."""
    stores, _, some, _ = kept
    there = [replace(stores[n], run=replace(stores[n].run, **change)) for n in chosen]
    with pytest.raises(StoreError) as error:
        apply_ensembles(some, there)
    assert message in str(error.value)


def test_one_ensemble_labels_rows_alone(kept):
    """The default is the row form with the most rows; what is not there is listed."""
    some = kept[2]
    one = choose_ensemble(some)
    assert one.first.method == "blend-row" and one.n_train == 12
    assert choose_ensemble(some, "comprw", 8).first.method == "comprw"
    with pytest.raises(UsageError, match="they have blend on 12 rows a store; blend on 8"):
        choose_ensemble(some, "comprw", 9)
    with pytest.raises(UsageError, match=r"2 ensembles of blend-row.*--store"):
        choose_ensemble([*some, *some])


@pytest.mark.parametrize("how", ["templates", "both"])
def test_temperatures_are_for_averaged_scores(make_store, how):
    """The members' for scores of size one, less as errors cancel; none where a member has none."""
    stores, methods = family(make_store), make_methods(["comprw", "blend"], "official")
    fits = reweight(stores, methods, (12,), temperatures=True)
    found = ensembles(stores, fits, methods, (12,), how)
    alone = {(fit.store, fit.method): fit for fit in fits}
    for one in found:
        sizes = []
        for member, size in zip(one.members, one.sizes, strict=True):
            fit = alone[member.store, member.method]
            store = next(s for s in stores if str(s.path) == member.store)
            train = fit.fitted.scores(rows_of(store.split("train"), store.components))
            train = train - train.mean(axis=1, keepdims=True)
            own = np.sqrt(((train - train.mean(axis=0)) ** 2).mean())
            assert member.temperature / size == pytest.approx(fit.temperature / own)
            sizes.append(fit.temperature / own)
        left = {2: 0.625, 4: 0.4375}[len(sizes)]
        assert one.temperature == pytest.approx(np.mean(sizes) * left)
        assert one.test.scaled is not None and one.row()["temperature"] == one.temperature
        cold = replace(one, members=(*one.members[1:], replace(one.first, temperature=None)))
        assert cold.temperature is None


def test_what_they_gain_is_paired_with_their_own_stores(make_store):
    """``store_accuracy`` is the mean of the single fits, and the mean gain is over tasks."""
    stores = family(make_store)
    far = [
        replace(s, run=replace(s.run, task="qqp"), path=s.path.with_name(f"q-{s.path}"))
        for s in family(make_store, seeds=(2, 3, 4))
    ]
    fits, some = fitted([*stores, *far], "templates", ("full", "comprw"))
    found = document(fits, None, some)
    row = found["ensembles"][1]
    of = [f.test.accuracy for f in fits if f.store in row["stores"] and f.method == "comprw"]
    assert len(of) == 2 and row["store_accuracy"] == pytest.approx(np.mean(of))
    gains = {"sst2": [], "qqp": []}
    for row in found["ensembles"]:
        if row["method"] == "comprw":
            gains[row["task"]].append(row["accuracy"] - row["store_accuracy"])
    wanted = np.mean([np.mean(values) for values in gains.values()])
    (mean,) = [row for row in found["ensemble_average"] if row["method"] == "comprw"]
    assert mean["difference"] == pytest.approx(wanted) and mean["tasks"] == 2
    assert mean["accuracy"] - mean["store_accuracy"] == pytest.approx(wanted)
