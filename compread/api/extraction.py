"""``compread.extract``: a model and prompts in, opened runs out. It alone needs torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from compread.api.gathering import tell
from compread.api.prompting import Prompts, TaskChoices, chosen_sets
from compread.api.runs import Runs, StorePath, open
from compread.errors import CompreadError, TargetError, UsageError, flag, option, told_in_python
from compread.prompts import Chat, PromptSet, preflight, with_unconditional
from compread.prompts.names import one_file
from compread.store import check_store_target, in_model_folder

if TYPE_CHECKING:
    from compread.extract import ExtractOptions, Extractor, RunRecord
    from compread.extract.outcome import Progress
    from compread.model import LoadedModel


class Model(Protocol):
    """What is asked of a loaded ``transformers`` model before torch is imported."""

    @property
    def config(self) -> Any:
        """Its configuration."""


@told_in_python
def extract(
    model: StorePath | Model,
    prompts: Prompts,
    output: StorePath = ".",
    *,
    tokenizer: Any = None,
    templates: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    num_fewshot: int | None = None,
    n_train: int | None = None,
    limit: int | None = None,
    labels: Sequence[str | Sequence[str]] | None = None,
    demo_labels: Sequence[int] | None = None,
    embedder: str | None = None,
    calibration_prompts: bool = False,
    unconditional: bool | str = False,
    data_dir: StorePath | None = None,
    include_path: StorePath | None = None,
    apply_chat_template: bool = False,
    system_instruction: str | None = None,
    fewshot_as_multiturn: bool = False,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | dict[str, str] | None = None,
    adapter: str | None = None,
    merge_adapter: bool = False,
    quantize: str | None = None,
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    offline: bool = False,
    compile: bool = False,
    batch_tokens: int | None = None,
    share: bool = True,
    keep_text: bool = False,
    force: bool = False,
    log: StorePath | None = None,
    progress: Progress = lambda done, total, tokens: None,
) -> Runs:
    """Run a model over prompts, store every component's label logits, and open the stores.

    What ``compread extract`` does; a run that was stopped goes on where it was, and one that is
    finished is kept, when it is asked for again.

    Args:
        model: a hub id, a folder, a ``.gguf`` file, or a loaded model of ``transformers``, which is
            left as it was.
        prompts: a task such as ``"sst2"``, ``"lm_eval:piqa"`` or ``"my_tasks/mine.yaml"``, or
            several; a ``.jsonl`` file; or a list of rows, each with ``prompt`` and ``label`` and,
            where wanted, ``options``, ``split`` and ``id``.
        output: a ``.h5`` path for one run, or a folder; ``{model}`` in it is the model's base name.
        tokenizer: of a loaded model.
        templates: template ids of the tasks, ``all`` or ``contrast``; None: each task's first.
        seeds: which demonstrations; None: 0, and 1234 of tasks of lm-evaluation-harness.
        num_fewshot: demonstrations in a prompt; None: the task's own number.
        n_train: train rows; None: 24 less the demonstrations.
        limit: test rows at most.
        labels: label words of rows or of a file that have no options; a list of words is one class.
        demo_labels: the demonstrations' classes in order.
        embedder: choose each row's nearest demonstrations by this sentence-transformers model.
        calibration_prompts: also run content-free prompts.
        unconditional: also run each row's answers behind a prompt that says nothing of it: this
            text, else the prompts' own, else the token that a text begins with, for
            ``normalize="pmi"``.
        data_dir: the folder with ``TASK/{train,test}.jsonl``.
        include_path: a folder with task files of your own.
        apply_chat_template: put prompts through the model's chat template.
        system_instruction: a system message before each prompt.
        fewshot_as_multiturn: demonstrations as turns of the chat.
        revision: of the model on the hub.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, ``cuda``, ``cuda:1``, ``mps`` or ``cpu``.
        device_map: spread a large model, such as ``auto``.
        adapter: a ``peft`` adapter on top of it.
        merge_adapter: add the adapter to the weights first.
        quantize: ``8bit`` or ``4bit``.
        attn_implementation: such as ``eager``; None: the model's own.
        trust_remote_code: run code that comes with the model.
        offline: use local files and caches only.
        compile: fuse norms, gates and rotations by torch.compile.
        batch_tokens: tokens in a batch; None: what memory allows.
        share: run what prompts share once.
        keep_text: keep each row's own text in the store, for ``Runs.texts``.
        force: replace existing stores and start over.
        log: a file to add lines to, for each run's beginning and end.
        progress: called after each batch with the rows done, all rows, and the tokens run.

    Raises:
        UsageError: arguments that contradict each other.
        PromptError: a task, template, row or label that cannot be used.
        ModelError: a model that cannot be loaded or read.
        SumError: the parts do not add up; nothing is written.
        TargetError: another run's store is at the target, or it cannot be written.
        ResumableError: stopped early, the finished rows kept.
    """
    choices = TaskChoices(
        templates, seeds, num_fewshot, n_train, limit, demo_labels, embedder, calibration_prompts,
        data_dir, include_path,
    )  # fmt: skip
    sets = chosen_sets(prompts, labels, choices, offline)
    chat = Chat(apply_chat_template, system_instruction, fewshot_as_multiturn)
    if unconditional is not False:
        text = unconditional if isinstance(unconditional, str) else None
        sets = [with_unconditional(one, text) for one in sets]
    if keep_text:
        sets = [one.with_text_kept() for one in sets]
    place = _place(output, model)
    targets = _targets(place, sets, chat)
    if merge_adapter and not adapter:
        raise UsageError(f"{flag('merge-adapter')} merges what {option('adapter')} names")
    how = {
        "revision": revision, "dtype": dtype, "device": device, "device_map": device_map,
        "offline": offline, "adapter": adapter, "merge_adapter": merge_adapter,
        "quantize": quantize, "attention": attn_implementation,
        "trust_remote_code": trust_remote_code,
    }  # fmt: skip

    from compread.extract import ExtractOptions, Extractor, RunRecord, asked_run
    from compread.extract.label_mass import mass_warning, median_mass

    options = ExtractOptions(batch_tokens, share, force, "compread.extract, from Python")
    lines = None if log is None else Path(log).expanduser()
    record = RunRecord(None if place.suffix == ".h5" else place, lines, tell)
    with _loaded(model, tokenizer, how, lambda found: _worded(sets, chat, found)) as loaded:
        extractor = Extractor(loaded, compile=compile)
        ready = _worded(sets, chat, loaded.tokenizer, loaded.context_length)
        record.ask({
            target.name: asked_run(one, loaded.request.name, revision)
            for one, target in zip(ready, targets, strict=True)
        })  # fmt: skip
        _run_all(extractor, ready, targets, options, record, progress)
    if warning := mass_warning({target.name: median_mass(target) for target in targets}):
        tell(warning)
    tested = all(any(prompt.split == "test" for prompt in one.prompts) for one in sets)
    return open(targets, "test" if tested else "train")


def _run_all(
    extractor: Extractor,
    sets: Sequence[PromptSet],
    targets: Sequence[Path],
    options: ExtractOptions,
    record: RunRecord,
    progress: Progress,
) -> None:
    """Run each prompt set, and tell what its run warns of."""
    for one, target in zip(sets, targets, strict=True):
        try:
            done = extractor.extract(one, target, options, record.noted(target, progress))
        except CompreadError as error:
            record.failed(target, error)
            raise
        record.ended(done)
        for line in done.warnings:
            tell(line)


@contextmanager
def _loaded(
    model: StorePath | Model,
    tokenizer: Any,
    how: Mapping[str, Any],
    begins: Callable[[Any], object],
) -> Iterator[LoadedModel]:
    """The model, loaded here or before; ``begins`` sees the tokenizer before weights are read."""
    if isinstance(model, (str, os.PathLike)):
        if tokenizer is not None:
            raise UsageError(f"{option('tokenizer')} is that of a loaded model; leave it out")
        from compread.model import ModelRequest, load_model

        request = ModelRequest(os.fspath(model), **how)
        yield load_model(request, lambda _, found: begins(found))
        return
    if named := [name for name, value in how.items() if value not in _UNSAID]:
        told = ", ".join(option(_ARGUMENTS.get(name, name.replace("_", "-"))) for name in named)
        raise UsageError(f"{told}: the model is loaded already; load it so, or give its name")
    if tokenizer is None:
        raise UsageError(f"a loaded model wants its own tokenizer beside it: {option('tokenizer')}")
    from compread.model.load.loading import given_model

    begins(tokenizer)
    with given_model(model, tokenizer) as loaded:
        yield loaded


_UNSAID = (None, False, "auto")
"""Values of arguments that say nothing of how a model is to be loaded."""
_ARGUMENTS = {"attention": "attn-implementation"}


def _worded(
    sets: Sequence[PromptSet], chat: Chat, tokenizer: Any, context_length: int | None = None
) -> list[PromptSet]:
    """The prompt sets as this model reads them, each tried on a few rows before any is run."""
    worded = [one if chat.plain else chat.apply(one, tokenizer) for one in sets]
    for one in worded:
        preflight(one, tokenizer, context_length)
    return worded


def _place(output: StorePath, model: StorePath | Model) -> Path:
    """The output path, the model's base name in it where it asks for that."""
    if isinstance(model, (str, os.PathLike)):
        name = os.fspath(model)
    else:
        config = getattr(model, "config", None)
        name = getattr(config, "_name_or_path", "") or getattr(config, "model_type", "model")
    return in_model_folder(Path(output).expanduser(), str(name))


def _targets(output: Path, sets: Sequence[PromptSet], chat: Chat) -> list[Path]:
    """Where each store goes, looked at before a model is loaded.

    Raises:
        UsageError: one path for several runs, or two runs of one name.
        TargetError: a path that cannot be written.
    """
    if output.suffix == ".h5":
        if len(sets) > 1:
            raise UsageError(
                f"{output} is one store, and these are {len(sets)} runs: name a folder"
            )
        targets = [output]
    elif output.is_file():
        raise TargetError(f"{output} is a file; give a .h5 path or a folder")
    else:
        variant = "" if chat.plain else chat.variant
        names = [f"{one.file_name.removesuffix('.h5')}{variant}.h5" for one in sets]
        if pair := one_file(names):
            raise UsageError(f"two of these runs are one file, {pair[0]}: give each a path")
        targets = [output / name for name in names]
    for target in targets:
        check_store_target(target)
    return targets
