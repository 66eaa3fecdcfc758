"""``compread predict``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compread.cli import complete
from compread.cli import extract_options as opt
from compread.cli.progress import hide_foreign_bars, say_loading
from compread.cli.values import PATH

if TYPE_CHECKING:
    from compread.extract import Extractor
    from compread.extract.predict import Window
    from compread.prompts.new_rows import NewRows
    from compread.prompts.sets import Prompt, PromptSet
    from compread.reweight.ensemble import Ensemble
    from compread.reweight.label_shares import LabelShares
    from compread.reweight.running import Running
    from compread.reweight.weights_file import Weights
    from compread.store import RunInfo

EXAMPLE = """\
compread predict --model gpt2 --weights weights.json --input texts.jsonl > labels.jsonl
echo '{"sentence": "a gem"}' | compread predict --model gpt2 --weights weights.json --input -"""
FIRST_WINDOW, FILE_WINDOW = 16, 256
"""Rows that are run together at first: few of a stream, so that a slow one is answered soon."""
UNSCALED = (
    "its probabilities are the softmax of the scores, whose size says little of how often they are "
    "right; fit it again on two or more rows with reweight --save"
)


WEIGHTS = Annotated[
    Path,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="The weights: a file that reweight --save wrote.",
    ),
]
INPUT = Annotated[
    str,
    typer.Option(
        "--input",
        metavar="FILE",
        help="The rows to label: JSON Lines, .csv or .parquet; - for JSON Lines on stdin.",
    ),
]
METHOD = Annotated[
    str | None,
    typer.Option(
        "--method",
        autocompletion=complete.methods,
        help="Which method of the file. [default: blend-row]",
    ),
]
N_TRAIN = Annotated[
    int | None,
    typer.Option("--n-train", help="Use the weights fitted on N train rows. [default: the most]"),
]
STORE = Annotated[
    str | None,
    typer.Option("--store", help="Use the weights fitted on this store, if there are several."),
]
LABEL_SHARES = Annotated[
    str | None,
    typer.Option(
        "--label-shares",
        metavar="S",
        help="As in reweight, over the rows so far; without --method by the form that looks at "
        "them, such as blend.  [default: the weights']",
    ),
]
INCLUDE_PATH = Annotated[
    Path | None,
    typer.Option(
        "--include-path",
        help="Folder with the task's file, for weights that do not carry what is needed of it.",
        **PATH,
    ),
]
EXPLAIN = Annotated[
    int,
    typer.Option("--explain", min=0, help="For each row, name the N components that weighed most."),
]
DTYPE = Annotated[
    str | None, typer.Option("--dtype", help="As in extract. [default: the weights']")
]


def predict(
    model: opt.MODEL,
    weights: WEIGHTS,
    input: INPUT,
    method: METHOD = None,
    n_train: N_TRAIN = None,
    store: STORE = None,
    label_shares: LABEL_SHARES = None,
    explain: EXPLAIN = 0,
    include_path: INCLUDE_PATH = None,
    revision: opt.REVISION = None,
    dtype: DTYPE = None,
    device: opt.DEVICE = "auto",
    device_map: opt.DEVICE_MAP = None,
    trust_remote_code: opt.TRUST = False,
    offline: opt.OFFLINE = False,
) -> None:
    """Label new rows with a model and fitted weights.

    A row is a JSON object, or a row of a table: the fields of the task's template, which is
    put behind the run's demonstrations, or {"prompt": a whole prompt}; "id" is its number
    unless given. Where the weights are of rows with answers of their own, "options" has the row's,
    or the fields that the task makes them of. Prints one JSON object a row, in order: id, label,
    class (its name, where rows have labels in common), and the probability of each label, the
    softmax of the scores over the weights' temperature. Labels are those of `reweight --apply` on
    the same rows.
    Weights of an ensemble run each of its prompts and average, unless --store names one.

    Each row is labelled alone, by default with blend-row; methods that look at the rows together,
    such as blend or bc, are given those so far, window by window. Stderr says which.
    """
    hide_foreign_bars()
    from compread.cli.inputs import read_weights
    from compread.cli.output import note
    from compread.extract import Extractor
    from compread.extract.predict import windows_of
    from compread.model import ModelRequest, load_model, quieten_libraries
    from compread.reweight.apply import check_model
    from compread.reweight.label_shares import label_shares_of
    from compread.reweight.running import Running, told_of

    shares = label_shares_of(label_shares)
    chosen = _chosen(read_weights(weights), method, n_train, store, shares)
    fit, run = chosen.first, chosen.first.run
    _check_of_rows(run, weights)
    forms = _Forms.of(chosen, include_path)
    _check_input(input)
    quieten_libraries(bars=False)
    request = ModelRequest(
        model, revision or run.revision, dtype or run.dtype, device, device_map, offline,
        adapter=run.adapter, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    speaks = sys.stderr.isatty()

    def begins(one: ModelRequest, tokenizer: Any) -> None:
        # A stream stays unread until there is a model to answer it.
        for name, row in islice(_rows(input), 0 if _streams(input) else 1):
            forms.check_labels(forms.prompts(name, row), tokenizer)
        if speaks:
            say_loading(one)

    loaded = load_model(request, begins)
    check_model(fit, loaded.fingerprint, f"{model} is in {loaded.dtype}")
    if chosen.temperature is None:
        note(f"{weights} has no temperature for {fit.title}: {UNSCALED}")
    note(told_of(chosen))
    running = Running(chosen)
    prompts = (forms.prompts(name, row) for name, row in _rows(input))
    size = FIRST_WINDOW if _streams(input) else FILE_WINDOW
    for windows, names in forms.answered(Extractor(loaded), windows_of(prompts, size)):
        _tell(chosen, running, windows, names, explain)


@dataclass(frozen=True)
class _Forms:
    """What each row is put behind: the demonstrations of each member's run."""

    made: list[NewRows]
    words: list[tuple[int, ...]]
    """The tokens of each member's label words."""

    @classmethod
    def of(cls, chosen: Ensemble, include_path: Path | None) -> _Forms:
        """Those of the runs that the weights were fitted on."""
        from compread.errors import UsageError
        from compread.prompts.new_rows import NewRows

        if len(chosen.members) > 1 and chosen.first.run.template is None:
            raise UsageError(
                "these weights are of an ensemble of prompt files, which have no template to word "
                "a new row with: extract a file of each wording of it, and give the stores to "
                "reweight --apply"
            )
        made = [
            NewRows.of_run(
                fit.run.task, fit.run.template, fit.run.template_text, fit.run.protocol,
                () if fit.words.are_positions else fit.words.word,
                () if fit.words.are_positions else fit.words.class_name, include_path,
            )
            for fit in chosen.members
        ]  # fmt: skip
        return cls(made, [fit.words.token_id for fit in chosen.members])

    def prompts(self, name: str, row: dict[str, Any]) -> list[Prompt]:
        """A row behind the demonstrations of each member."""
        from compread.errors import PromptError

        if len(self.made) > 1 and "prompt" in row:
            raise PromptError(
                f"row {name!r} has a 'prompt', and the ensemble words each row in "
                f"{len(self.made)} ways; give the fields of its templates"
            )
        return [form.prompt(name, row) for form in self.made]

    def check_labels(self, prompts: Sequence[Prompt], tokenizer: Any) -> None:
        """Refuse label words that are other tokens behind a row than they were to the fits."""
        from compread.extract.predict import check_labels
        from compread.prompts import tokenize

        for form, prompt, own in zip(self.made, prompts, self.words, strict=True):
            first = form.prompt_set([prompt], tokenizer)
            check_labels(first, tokenize(first, tokenizer), own)

    def answered(
        self, extractor: Extractor, windows: Iterator[list[list[Prompt]]]
    ) -> Iterator[tuple[tuple[Window, ...], list[str]]]:
        """Each window as every member's prompts are answered, and the names of its rows."""
        from compread.extract.predict import Predictor

        named, *apart = tee(windows, 1 + len(self.made))

        def behind(form: NewRows, number: int) -> Iterator[PromptSet]:
            for window in apart[number]:
                own = [prompts[number] for prompts in window]
                yield form.prompt_set(own, extractor.loaded.tokenizer)

        found = [
            Predictor(extractor, own).windows(behind(form, number))
            for number, (form, own) in enumerate(zip(self.made, self.words, strict=True))
        ]
        for answered, rows in zip(zip(*found, strict=True), named, strict=True):
            yield answered, [prompts[0].id for prompts in rows]


def _chosen(
    weights: Weights,
    method: str | None,
    n_train: int | None,
    store: str | None,
    shares: LabelShares,
) -> Ensemble:
    """What labels the rows: an ensemble where there is one and no single store is named."""
    from compread.reweight.ensemble import Ensemble
    from compread.reweight.ensemble_apply import retold_ensemble
    from compread.reweight.select import choose, choose_ensemble, looking

    told = shares is not None
    if weights.ensembles and store is None:
        named = looking([one.first for one in weights.ensembles], method, told)
        return retold_ensemble(choose_ensemble(weights.ensembles, named, n_train), shares)
    named = looking(weights.fits, method, told)
    return retold_ensemble(Ensemble.of_one(choose(weights.fits, named, n_train, store)), shares)


def _check_of_rows(run: RunInfo, weights: Path) -> None:
    """Refuses weights that want more of a row than the row."""
    from compread.errors import UsageError

    if run.normalize == "pmi":
        raise UsageError(
            f"{weights} was fitted with --normalize pmi, which a row alone has no unconditional "
            "prompt for; fit weights with another"
        )


def _check_input(path: str) -> None:
    """Refuses what cannot be read, before the model is loaded."""
    from compread.errors import PromptError

    if path == "-":
        return
    if not Path(path).exists():
        raise PromptError(f"{path}: no such file of rows; give its path, or - for stdin")
    if Path(path).is_dir():
        raise PromptError(f"{path} is a folder; give a file of rows, or - for standard input")


def _streams(path: str) -> bool:
    """Whether rows come as they are made, and once only."""
    return path == "-" or not Path(path).is_file()


def _tell(
    chosen: Ensemble, running: Running, windows: Sequence[Window], names: list[str], top: int
) -> None:
    """Print a window's rows."""
    import numpy as np

    from compread.cli.output import note, write_styled
    from compread.reweight.explain import explain
    from compread.reweight.running import rows_for
    from compread.reweight.temperature import scaled
    from compread.text import json_text

    for warning in dict.fromkeys(text for window in windows for text in window.warnings):
        note(f"warning: {warning}")
    rows = [
        rows_for(fit, window.parts, window.full, window.answers)
        for fit, window in zip(chosen.members, windows, strict=True)
    ]
    scores = running.scores(rows)
    answers, common = windows[0].answers, chosen.first.labels
    words = [own.text for own in answers] or [common.word] * len(names)
    why = explain(chosen, rows, scores, words, top) if top else [{}] * len(names)
    chances = np.exp(scaled(scores, chosen.temperature))
    lines = []
    for n, (name, labels) in enumerate(zip(names, words, strict=True)):
        best = int(scores[n].argmax())
        row = {
            "id": name,
            "label": labels[best],
            **({} if answers else {"class": common.class_names[best]}),
            "probabilities": dict(zip(labels, map(float, chances[n]), strict=False)),
            **why[n],
        }
        lines.append(json_text(row))
    write_styled("\n".join(lines) + "\n")


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, read as they are needed."""
    from compread.prompts.json_lines import named_rows, row_id
    from compread.prompts.local_files import read_rows

    if Path(path).suffix in (".csv", ".parquet"):
        for number, row in enumerate(read_rows(Path(path))):
            yield row_id(row, number, f"{path}, row {number}"), dict(row)
        return
    name = "standard input" if path == "-" else path
    with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as lines:
        yield from named_rows(lines, name)
