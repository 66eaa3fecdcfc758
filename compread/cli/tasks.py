"""``compread tasks``: the tasks, their prompts, their data, and the files of a user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compread.cli import complete
from compread.cli.extract_options import DATA_DIR, INCLUDE_PATH, OFFLINE, REVISION
from compread.cli.forms import FORMAT, TABLE, tabular
from compread.cli.help import Command, Group, epilog
from compread.cli.output import emit, note, write
from compread.cli.progress import hide_foreign_bars
from compread.cli.values import FILE, PATH

if TYPE_CHECKING:
    from compread.prompts import NewTask, PromptSet, Task

EXAMPLE = """\
compread tasks
compread tasks list --include-path my_tasks/ --format jsonl
compread tasks show sst2 --data-dir data/
compread tasks fetch sst2,boolq
compread tasks new mine --from opinions.csv --text text --label label
compread tasks validate my_tasks/mine.yaml --model gpt2"""

_TRIED = 5
"""Test rows of which the first is shown; some cannot be chosen in."""
_SHOWN = 10
"""Unusable files that a line names."""

tasks = typer.Typer(
    cls=Group, invoke_without_command=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@tasks.callback()
@tabular
def _tasks(
    context: typer.Context, include_path: INCLUDE_PATH = None, format: FORMAT = TABLE
) -> None:
    """List the tasks that extract knows; show, fetch, write and check them.

    Without a subcommand the tasks are listed.
    """
    if context.invoked_subcommand is None:
        _list(include_path, format)


@tasks.command("list", cls=Command, epilog=epilog(EXAMPLE, "compread tasks list"))
@tabular
def list_tasks(include_path: INCLUDE_PATH = None, format: FORMAT = TABLE) -> None:
    """List the tasks with their templates, label words and sources."""
    _list(include_path, format)


def _list(include_path: Path | None, format: FORMAT) -> None:
    from compread.views.tasks import task_rows, task_view

    rows = [row for task in _usable(include_path) for row in task_rows(task)]
    emit(rows, task_view(rows), format)


@tasks.command("show", cls=Command, epilog=epilog(EXAMPLE, "compread tasks show"))
@tabular
def show(
    names: Annotated[
        list[str],
        typer.Argument(metavar="TASK", autocompletion=complete.tasks, help="Tasks."),
    ],
    templates: Annotated[
        str,
        typer.Option(
            "--templates", autocompletion=complete.templates, help="Template ids, all, contrast."
        ),
    ] = "all,contrast",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, help="Which draw of the demonstrations. [default: 0; lm_eval: 1234]"
        ),
    ] = None,
    num_fewshot: Annotated[
        int | None,
        typer.Option("--num-fewshot", help="Demonstrations in a prompt. [default: the task's]"),
    ] = None,
    data_dir: DATA_DIR = None,
    include_path: INCLUDE_PATH = None,
    offline: OFFLINE = False,
    format: FORMAT = TABLE,
) -> None:
    """Print a prompt of each template, as the model would see it."""
    hide_foreign_bars()
    from compread.cli.values import comma_list
    from compread.prompts import is_lm_eval, lm_eval_sets, load_task, prompt_sets
    from compread.views.tasks import PROMPT_VIEW, prompt_rows

    made: list[PromptSet] = []
    for name in comma_list(names):
        if is_lm_eval(name):
            made += lm_eval_sets(
                name,
                None if seed is None else (seed,),
                shots=num_fewshot,
                n_train=0,
                limit=_TRIED,
                include_path=include_path,
                offline=offline,
            )
        else:
            made += prompt_sets(
                load_task(name, include_path),
                comma_list([templates]),
                (seed or 0,),
                shots=num_fewshot,
                n_train=0,
                limit=_TRIED,
                data_dir=data_dir,
                offline=offline,
            )
    rows = prompt_rows(made)
    if format.format != "table":
        emit(rows, PROMPT_VIEW, format)
        return
    for row in rows:
        words = ", ".join(map(repr, row["labels"]))
        named = " ".join(filter(None, (row["task"], row["template"])))
        write(f"--- {named} ({words}), row {row['id']}\n")
        write(f"{row['prompt']}\n--- right label: {row['label']!r}\n\n")


@tasks.command("fetch", cls=Command, epilog=epilog(EXAMPLE, "compread tasks fetch"))
@tabular
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="TASK",
            autocompletion=complete.tasks,
            help="Tasks, or all.",
        ),
    ],
    include_path: INCLUDE_PATH = None,
    format: FORMAT = TABLE,
) -> None:
    """Download the tasks' data, so that extract can run with --offline later."""
    hide_foreign_bars()
    from compread.cli.values import comma_list
    from compread.errors import PromptError
    from compread.prompts import is_lm_eval, load_rows, load_task
    from compread.views.tasks import FETCH_VIEW

    wanted = comma_list(names)
    rows = []
    for name in filter(is_lm_eval, wanted):
        raise PromptError(f"{name}: lm-evaluation-harness loads its data itself; run the task once")
    load = partial(load_task, include_path=include_path)
    for task in _usable(include_path) if wanted == ["all"] else map(load, wanted):
        for one, split in ((task.lender or task, "train"), (task, "test")):
            if one.source is None:
                note(f"{one.name}: not on the hub; {one.access or 'its data are local'}")
                continue
            if one.source.subjects:
                note(f"{one.name}: fetched by subject, as in {one.name}:{one.source.subjects[0]}")
                break
            n = len(load_rows(one, split))
            rows.append({
                "task": task.name, "split": split, "rows": n, "source": one.source.id,
                "config": one.source.config, "revision": one.source.revision,
            })  # fmt: skip
    emit(rows, FETCH_VIEW, format)


@tasks.command("new", cls=Command, epilog=epilog(EXAMPLE, "compread tasks new"))
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the task.")],
    source: Annotated[
        Path,
        typer.Option("--from", help="The rows: a .csv, .jsonl or .parquet.", **FILE),
    ],
    text: Annotated[
        str,
        typer.Option("--text", help="Columns that a prompt shows: text,title."),
    ],
    label: Annotated[str, typer.Option("--label", help="Column with the right class.")],
    ids: Annotated[
        str,
        typer.Option(
            "--id",
            help="Column with what each row is called. [default: its place in the file, from 0]",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for NAME.yaml. [default: this one]", **PATH),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a task file for rows of your own, with two templates to edit; prints its path.

    Classes are the values of the label column. The file of rows stays where it is; the hash of each
    row puts it into the train or the test half. Stderr says what to edit, and which commands to
    go on with: the task is found by its name in its own folder, by its path anywhere.
    """
    hide_foreign_bars()
    from compread.cli.output import write_path
    from compread.cli.values import comma_list
    from compread.output_files import check_target, write_file
    from compread.prompts import new_task

    folder = output or Path()
    file = folder / f"{name}.yaml"
    made = new_task(name, source, comma_list([text]), label, folder, ids)
    check_target(file, force)
    write_file(file, made.text, force)
    _tell_new(made, file, source)
    write_path(file)


def _tell_new(made: NewTask, file: Path, source: Path) -> None:
    """Say what was found, what to edit and how to go on."""
    from compread.cli.output import note

    counts = ", ".join(f"{name} {n:,}" for name, n in made.counts.items())
    unused = f", {made.unused:,} of them without text or label" if made.unused else ""
    note(f"{source}: {made.rows:,} rows{unused}; {len(made.counts)} classes: {counts}")
    halves = (sum(half.values()) for half in (made.train, made.test))
    note("by halves, without repeats: {:,} train rows, {:,} test rows".format(*halves))
    for what, lines in made.edits.items():
        at = ", ".join(map(str, lines[:8])) + (" ..." if len(lines) > 8 else "")
        note(f"edit {what}: {file}, line{'s' if len(lines) > 1 else ''} {at}")
    task = made.task.name if file == Path(file.name) else str(file)
    note(f"then: compread tasks validate {file} --model MODEL")
    note(f"      compread tasks show {task}")
    note(f"      compread extract --model MODEL --tasks {task} -o {made.task.name}/")
    note(f"      compread rank {made.task.name}/")
    note(f"      compread reweight {made.task.name}/ --save weights.json")
    note("      compread predict --model MODEL --weights weights.json --input new.csv")


@tasks.command("validate", cls=Command, epilog=epilog(EXAMPLE, "compread tasks validate"))
@tabular
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Task files.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Also show the tokens that this model's tokenizer makes of the label words.",
        ),
    ] = None,
    revision: REVISION = None,
    offline: OFFLINE = False,
    format: FORMAT = TABLE,
) -> None:
    """Check task files: each mistake with its line and how to mend it.

    With --model (a hub id, a folder or a .gguf file; its tokenizer alone is read) also the tokens
    of each label word. Exit status 1 where something is wrong.
    """
    from compread.prompts import mistakes_in
    from compread.views.tasks import VALIDATE_VIEW

    tokenizer = _tokenizer(model, revision, offline) if model else None

    rows: list[dict[str, Any]] = []
    for file in files:
        found, tokens = mistakes_in(file), None
        if tokenizer is not None and not found:
            tokens, found = _label_tokens(file, tokenizer)
        rows += [{"file": str(file), "verdict": "wrong", "mistake": text} for text in found]
        if not found:
            rows.append({"file": str(file), "verdict": "valid", "mistake": None})
        if tokens is not None:
            rows[-1]["tokens"] = tokens
    if format.format == "table":
        for row in rows:
            write(f"{row['mistake'] or row['file'] + ': valid'}\n")
            for id, words in (row.get("tokens") or {}).items():
                each = ", ".join(f"{word!r} = {_counted(ids)}" for word, ids in words.items())
                write(f"  {id}: {each or 'options of each row'}\n")
    else:
        emit(rows, VALIDATE_VIEW, format)
    if any(row["verdict"] == "wrong" for row in rows):
        raise typer.Exit(1)


def _usable(include_path: Path | None) -> Iterator[Task]:
    """The tasks that can be read; of the other files, one line."""
    from compread.errors import PromptError
    from compread.prompts import every_task
    from compread.text import listed

    unusable = []
    for name, task in every_task(include_path):
        if isinstance(task, PromptError):
            unusable.append(name)
        else:
            yield task
    if unusable:
        note(
            f"warning: {listed(unusable, _SHOWN)}: left out, not a task file that can be used; "
            "compread tasks validate FILE says why"
        )


def _tokenizer(model: str, revision: str | None, offline: bool) -> Any:
    from compread.model import ModelRequest, load_tokenizer, quieten_libraries

    quieten_libraries(bars=False)
    return load_tokenizer(ModelRequest(model, revision, offline=offline))


def _counted(ids: Sequence[int]) -> str:
    """The tokens of a label word, and how many they are where they are several."""
    count = f" ({len(ids)} tokens)" if len(ids) > 1 else ""
    return " ".join(map(str, ids)) + count


def _label_tokens(
    file: Path, tokenizer: Any
) -> tuple[dict[str, dict[str, tuple[int, ...]]], list[str]]:
    from compread.prompts import load_task
    from compread.prompts.audit import label_tokens_of

    task = load_task(file.stem, file.absolute().parent, any_subject=True)
    tokens, found = label_tokens_of(task, tokenizer)
    return tokens, [f"{file}: {mistake}" for mistake in found]
