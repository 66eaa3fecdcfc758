"""``compread extract``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from compread.cli import extract_options as opt
from compread.cli.extract_grid import Checkpoint, PromptChoices, checkpoints, targets
from compread.cli.forms import FORMAT, TABLE
from compread.cli.options import unless_from_environment
from compread.cli.output import note
from compread.cli.progress import hide_foreign_bars, say_loading
from compread.errors import StoreError, UsageError

if TYPE_CHECKING:
    from compread.extract import ExtractOptions
    from compread.model import ModelRequest
    from compread.prompts import Chat, PromptSet
    from compread.store import Asked

EXAMPLE = """\
compread extract --model gpt2 --prompts prompts.jsonl -o out.h5
compread extract --model gpt2 --tasks sst2,qqp --templates all --seeds 0-4 -o stores/"""


def extract(
    context: typer.Context,
    model: opt.MODEL,
    output: opt.OUTPUT,
    tasks: opt.TASKS = None,
    prompts: opt.PROMPTS = None,
    templates: opt.TEMPLATES = None,
    seeds: opt.SEEDS = None,
    num_fewshot: opt.NUM_FEWSHOT = None,
    n_train: opt.N_TRAIN = None,
    limit: opt.LIMIT = None,
    labels: opt.LABELS = None,
    demo_labels: opt.DEMO_LABELS = None,
    prompt_selection: opt.SELECTION = opt.Selection.fixed,
    embedder: opt.EMBEDDER = None,
    calibration_prompts: opt.CALIBRATION = False,
    unconditional: opt.UNCONDITIONAL = False,
    unconditional_prompt: opt.UNCONDITIONAL_PROMPT = None,
    data_dir: opt.DATA_DIR = None,
    include_path: opt.INCLUDE_PATH = None,
    apply_chat_template: opt.CHAT_TEMPLATE = False,
    system_instruction: opt.SYSTEM = None,
    fewshot_as_multiturn: opt.MULTITURN = False,
    revision: opt.REVISION = None,
    revisions: opt.REVISIONS = None,
    dtype: opt.DTYPE = "auto",
    device: opt.DEVICE = "auto",
    device_map: opt.DEVICE_MAP = None,
    adapter: opt.ADAPTER = None,
    merge_adapter: opt.MERGE_ADAPTER = False,
    quantize: opt.QUANTIZE = None,
    attn_implementation: opt.ATTENTION = None,
    trust_remote_code: opt.TRUST = False,
    offline: opt.OFFLINE = False,
    compile: opt.COMPILE = False,
    batch_tokens: opt.BATCH_TOKENS = None,
    share: opt.SHARE = True,
    keep_text: opt.KEEP_TEXT = False,
    force: opt.FORCE = False,
    show_prompts: opt.SHOW_PROMPTS = 0,
    dry_run: opt.DRY_RUN = False,
    format: FORMAT = TABLE,
    log: opt.LOG = None,
    quiet: opt.QUIET = False,
) -> None:
    """Run a model over prompts once; store what each part adds to the label logits.

    Where answers are whole texts, that is what it adds to each answer's log-probability.

    Prints the path of each finished store, one a line. To continue a run that was stopped, give
    the same command again; finished stores are kept, after a check of their checksums. With
    --dry-run nothing is run: it prints how many tokens, operations and bytes the runs would take.
    Exit status 3 means that the parts did not add up to the model's own logits; nothing was
    written then.

    To use several GPUs or machines: torchrun --nproc-per-node 8 -m compread extract ...; the
    processes share the rows of each run and write one store.
    """
    hide_foreign_bars()
    if merge_adapter and not adapter:
        raise UsageError("--merge-adapter merges what --adapter names; give both")
    if str(output) == "-":
        raise UsageError("-o -: a store is a file; give a .h5 path or a folder")
    from compread.prompts import Chat, with_unconditional
    from compread.store import in_model_folder

    chat = Chat(apply_chat_template, system_instruction, fewshot_as_multiturn)
    nearest = prompt_selection is opt.Selection.nearest
    if prompts is not None:  # made already, so variables that are of making them say nothing here
        data_dir = unless_from_environment(context, "data_dir", data_dir)
        include_path = unless_from_environment(context, "include_path", include_path)
    sets = PromptChoices(
        tasks, prompts, templates, seeds, num_fewshot, n_train, limit, labels, demo_labels,
        nearest, embedder, data_dir, include_path, offline, calibration_prompts,
    ).prompt_sets()  # fmt: skip
    if unconditional or unconditional_prompt is not None:
        sets = [with_unconditional(one, unconditional_prompt) for one in sets]
    if keep_text:
        sets = [one.with_text_kept() for one in sets]
    points = checkpoints(model, revision, revisions)
    output = in_model_folder(output, model)
    places = _places(output, sets, points, chat)
    if not force:
        _check_places(places, sets, points, chat)

    from compread.cli.extract_run import forecast
    from compread.extract import ExtractOptions, speaks_for_all
    from compread.model import ModelRequest, quieten_libraries

    quieten_libraries(bars=False)
    requests = [
        ModelRequest(
            point.model, point.revision, dtype, device, device_map, offline,
            adapter, merge_adapter, quantize, attn_implementation, trust_remote_code,
        )
        for point in points
    ]  # fmt: skip
    if dry_run:
        if speaks_for_all():
            forecast(requests, lambda tokenizer: worded(sets, chat, tokenizer), share, format)
        return
    options = ExtractOptions(
        batch_tokens=batch_tokens, share=share, force=force, command=context.obj
    )
    folder = None if output.suffix == ".h5" else output
    grid = _Grid(sets, chat, points, places, folder)
    _run(grid, requests, options, compile, show_prompts, quiet, log)


class _Grid(NamedTuple):
    """The runs of one command: each prompt set with each checkpoint."""

    sets: list[PromptSet]
    chat: Chat
    points: list[Checkpoint]
    places: list[list[Path]]
    """Where the stores go: for each checkpoint, a path for each prompt set."""
    folder: Path | None
    """The folder they are in; None for a single one's own path."""

    def asked(self) -> dict[str, Asked]:
        """What the folder is asked for, by the stores' names."""
        from compread.extract import asked_run

        return {
            path.name: asked_run(one, point.model, point.label or point.revision)
            for point, paths in zip(self.points, self.places, strict=True)
            for one, path in zip(self.sets, paths, strict=True)
        }

    def work_left(self, force: bool) -> list[float]:
        """What each run takes (``prompts.work``), 0 where its store is there."""
        from compread.prompts import work

        return [
            0 if path.exists() and not force else work(one)
            for paths in self.places
            for one, path in zip(self.sets, paths, strict=True)
        ]


def _run(
    grid: _Grid,
    requests: list[ModelRequest],
    options: ExtractOptions,
    compile: bool,
    show_prompts: int,
    quiet: bool,
    log: Path | None,
) -> None:
    """Run all prompt sets on one checkpoint after the other."""
    from compread.cli.extract_run import Runs
    from compread.extract import Extractor, RunRecord, join_workers, leave_workers
    from compread.model import load_model

    workers = join_workers()
    # Of several processes one keeps the record.
    record = RunRecord(*((grid.folder, log) if workers.is_first else (None, None)), note)

    def begins(request: ModelRequest, tokenizer: Any) -> None:
        # Bad label words show before the weights are read.
        worded(grid.sets, grid.chat, tokenizer, all_tried=True)
        if workers.is_first and not quiet:
            say_loading(request)

    with Runs(grid.work_left(options.force), options, show_prompts, quiet, record) as runs:
        for point, request, paths in zip(grid.points, requests, grid.places, strict=True):
            extractor = Extractor(load_model(request, begins), workers, compile=compile)
            loaded = extractor.loaded
            context = loaded.context_length
            ready = worded(grid.sets, grid.chat, loaded.tokenizer, context, all_tried=True)
            record.ask(grid.asked())
            runs.run_all(extractor, ready, paths, point.label or point.revision)
            del extractor, loaded  # before the next checkpoint takes their memory
    # Not after an error: the others may be gone, and torch would wait for them.
    leave_workers()
    runs.check_all_made()


def _places(
    output: Path, sets: list[PromptSet], points: list[Checkpoint], chat: Chat
) -> list[list[Path]]:
    """The targets of each checkpoint, looked at before a model is loaded."""
    from compread.store import check_store_target

    names = [
        one.file_name.removesuffix(".h5") + f"{'' if chat.plain else chat.variant}.h5"
        for one in sets
    ]
    places = targets(output, names, points)
    for target in (path for paths in places for path in paths):
        check_store_target(target)
    return places


def _check_places(
    places: list[list[Path]], sets: list[PromptSet], points: list[Checkpoint], chat: Chat
) -> None:
    """Refuse other runs' stores at the targets, as far as that shows before a model is loaded.

    A damaged one among several is told when its turn comes, and the others are made.
    """
    from compread.store import check_same_run

    alone = len(sets) * len(points) == 1
    for point, paths in zip(points, places, strict=True):
        for one, target in zip(sets, paths, strict=True):
            try:
                check_same_run(target, {"model": point.model, **known(one, chat)})
            except StoreError:
                if alone:
                    raise


def known(prompt_set: PromptSet, chat: Chat) -> dict[str, Any]:
    """What a store's ``RunInfo`` will say of the prompts; less where a chat template words them."""
    facts = {
        "task": prompt_set.task,
        "template": prompt_set.template,
        "template_text": prompt_set.template_text,
        "demonstrations": prompt_set.demonstrations,
        "seed": prompt_set.seed,
        "shots": prompt_set.shots,
        "protocol": dict(prompt_set.protocol),
    }
    return {**facts, "prompt_set": prompt_set.hash} if chat.plain else facts


def worded(
    sets: list[PromptSet],
    chat: Chat,
    tokenizer: Any,
    context_length: int | None = None,
    all_tried: bool = False,
) -> list[PromptSet]:
    """The prompt sets as this model reads them, each of a grid (or ``all``) tried on a few rows."""
    from compread.prompts import preflight

    if not chat.plain:
        sets = [chat.apply(one, tokenizer) for one in sets]
    if len(sets) > 1 or all_tried:  # a mistake in the last of a grid shows before the first is run
        for one in sets:
            preflight(one, tokenizer, context_length)
    return sets
