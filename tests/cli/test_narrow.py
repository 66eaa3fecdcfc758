"""Tables in a terminal too narrow for all of their columns."""

import re
from importlib import import_module

import pytest

from compread.cli import main
from compread.views.terminal import fit


@pytest.fixture
def tables(stores, monkeypatch, capsys):
    """A function that gives the tables of a command over planted stores, each with its title."""

    def made(command):
        found = []

        def keep(document, view, *arguments, **styles):
            found.extend((table.title, table) for table in view)
            return ""

        monkeypatch.setattr(import_module("compread.cli.output"), "render", keep)
        words = command.format(all=stores, one=stores / "sst2-t1-k4-s0.h5").split()
        assert main(words) == 0, capsys.readouterr().err
        return found

    return made


@pytest.mark.parametrize(
    ("command", "title", "gone", "kept"),
    [
        (
            "analyze {all}",
            "Accuracy on the test rows",
            "best_p_value worst_crossfit_accuracy worst_by_chance_accuracy n worst+worst_accuracy "
            "best_by_train_accuracy best_by_chance_accuracy",
            "store full_accuracy best best_accuracy best_crossfit_accuracy",
        ),
        (
            "analyze {all}",
            "Share of components by category",
            "mixer_good_share+mixer_bad_share+mixer_biased_share "
            "mlp_good_share+mlp_bad_share+mlp_biased_share "
            "head_good_share+head_bad_share+head_biased_share",
            "store good_share bad_share biased_share",
        ),
        (
            "analyze {all}",
            "Transfer",
            "iou_halves spearman pairs full iou ceiling pearson",
            "pair_kind task agreement transferred oracle",
        ),
        (
            "analyze {all} --table pairs",
            "Every two runs",
            "ceiling pair_kind",
            "store other pearson spearman iou",
        ),
        (
            "analyze {all} --versus {all}",
            "Change of accuracy",
            "kind",
            "component before after change q_value",
        ),
        (
            "analyze {one} --without L0H0",
            "Sums over components",
            "margin top_share agreement",
            "sum components accuracy change",
        ),
        ("analyze {one} --early-exit", "Accuracy up to each layer", "mlp attention", "layer all"),
        (
            "rank {one} --example row-10",
            "$",
            "kind layer",
            "component prediction logit_difference running_sum",
        ),
        (
            "reweight {one} --methods comprw",
            "sst2, ",
            "epochs train_accuracy",
            "method n_train accuracy",
        ),
        (
            "reweight {all} --methods comprw,affine --versus affine",
            "Versus affine",
            "tasks_won units",
            "method n_train difference p",
        ),
        (
            "reweight {all} --methods comprw --metrics",
            "Calibration",
            "scaled_ece_adaptive n_train accuracy",
            "method scaled_ece scaled_brier scaled_log_loss ece log_loss",
        ),
        (
            "show {one}",
            "Rows",
            "gold_negative+gold_positive",
            "split rows worst_sum_error mean_label_mass",
        ),
        ("tasks", "$", "source", "task template labels"),
    ],
)
def test_what_the_table_is_for_stays(tables, command, title, gone, kept):
    """As the terminal narrows, what refines the rest goes first, what belongs together at once."""
    table = next(one for name, one in tables(command) if re.match(title, name))
    left, order = list(table.columns), []
    for width in range(500, 5, -1):
        there = list(fit(table, width))
        if missing := [column.key for column in left if column not in there]:
            order.append("+".join(missing))
        left = there
    assert order == gone.split()
    assert [column.key for column in left] == kept.split()
