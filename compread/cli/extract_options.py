"""The options of ``extract``, each with its help; the command's signature names them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from compread.cli import complete
from compread.cli.values import FILE, PATH


class Selection(str, Enum):
    """Whose demonstrations a prompt shows."""

    fixed = "fixed"
    nearest = "nearest"


# --- the model
MODEL = Annotated[
    str,
    typer.Option("--model", help="The model: a hub id, a folder or a .gguf file."),
]
REVISION = Annotated[
    str | None, typer.Option("--revision", help="Branch, tag or commit on the hub.")
]
REVISIONS = Annotated[
    str | None,
    typer.Option(
        "--revisions",
        help="Several checkpoints, such as step1000,step4000: revisions on the hub, or subfolders.",
    ),
]
DTYPE = Annotated[
    str, typer.Option("--dtype", help="Format of the weights: auto, float32, bfloat16 or float16.")
]
DEVICE = Annotated[
    str, typer.Option("--device", help="Where to run: auto, cuda, cuda:1, mps or cpu.")
]
DEVICE_MAP = Annotated[
    str | None,
    typer.Option("--device-map", help="Spread a model over several GPUs: auto, balanced ..."),
]
ADAPTER = Annotated[
    str | None, typer.Option("--adapter", help="A peft adapter (LoRA, DoRA): hub id or folder.")
]
MERGE_ADAPTER = Annotated[
    bool, typer.Option("--merge-adapter", help="Merge the adapter into the weights before running.")
]
QUANTIZE = Annotated[
    str | None, typer.Option("--quantize", help="Load the weights in fewer bits: 8bit or 4bit.")
]
ATTENTION = Annotated[
    str | None,
    typer.Option(
        "--attn-implementation",
        help="How attention is computed: eager, sdpa, ... [default: the model's]",
    ),
]
TRUST = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run Python code that comes with the model; read it first."
    ),
]
OFFLINE = Annotated[
    bool, typer.Option("--offline", help="Use only what is on this machine; download nothing.")
]

# --- the prompts
TASKS = Annotated[
    list[str] | None,
    typer.Option(
        "--tasks",
        autocompletion=complete.tasks,
        help="Tasks (compread tasks), such as sst2,lm_eval:piqa,mine.yaml.",
    ),
]
PROMPTS = Annotated[
    str | None,
    typer.Option(
        "--prompts", metavar="FILE", help="Finished prompts, one JSON object a line; - for stdin."
    ),
]
TEMPLATES = Annotated[
    str | None,
    typer.Option(
        "--templates",
        autocompletion=complete.templates,
        help="Template ids, all, contrast. [default: the first]",
    ),
]
SEEDS = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        help="Draws of demonstrations, such as 0-4; a run for each. [default: 0; lm_eval: 1234]",
    ),
]
NUM_FEWSHOT = Annotated[
    int | None,
    typer.Option("--num-fewshot", help="Demonstrations in a prompt. [default: the task's]"),
]
N_TRAIN = Annotated[
    int | None,
    typer.Option("--n-train", help="Labelled rows to fit weights on. [default: 24 less the shots]"),
]
LIMIT = Annotated[
    int | None, typer.Option("--limit", help="Rows to score on. [default: 2000 or all there are]")
]
LABELS = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help='With --prompts: label words, " negative, positive"; | between words of one class.',
    ),
]
DEMO_LABELS = Annotated[
    str | None,
    typer.Option("--demo-labels", help="Classes of the demonstrations in order, such as 0,0,0,0."),
]
SELECTION = Annotated[
    Selection,
    typer.Option(
        "--prompt-selection",
        help="The same demonstrations for all rows, or each row's nearest (PromptS).",
    ),
]
EMBEDDER = Annotated[
    str | None,
    typer.Option(
        "--embedder", help="With nearest: the sentence-transformers model to compare rows by."
    ),
]
CALIBRATION = Annotated[
    bool,
    typer.Option(
        "--calibration-prompts", help="Also run 23 content-free prompts, for reweight's cc and dc."
    ),
]
UNCONDITIONAL = Annotated[
    bool,
    typer.Option(
        "--unconditional",
        help="Also run each row's answers after a prompt without content, for --normalize pmi.",
    ),
]
UNCONDITIONAL_PROMPT = Annotated[
    str | None,
    typer.Option(
        "--unconditional-prompt",
        metavar="TEXT",
        help="The prompt without content, such as Answer:  [default: the template's or file's own, "
        "else the token that begins a text]",
    ),
]
DATA_DIR = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Read the rows from TASK/{train,test}.jsonl in this folder.", **PATH
    ),
]
INCLUDE_PATH = Annotated[
    Path | None,
    typer.Option("--include-path", help="Folder with more task files, yours or lm-eval's.", **PATH),
]
CHAT_TEMPLATE = Annotated[
    bool,
    typer.Option("--apply-chat-template", help="Wrap prompts in the model's chat template."),
]
SYSTEM = Annotated[
    str | None, typer.Option("--system-instruction", help="A system message before each prompt.")
]
MULTITURN = Annotated[
    bool,
    typer.Option("--fewshot-as-multiturn", help="Give the demonstrations as turns of the chat."),
]
SHOW_PROMPTS = Annotated[
    int,
    typer.Option("--show-prompts", min=0, help="Print N prompts of each run, with their tokens."),
]

# --- the run and its stores
OUTPUT = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Where to write: a .h5 file for one run, else a folder, such as stores/{model}.",
        **PATH,
    ),
]
BATCH_TOKENS = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens", min=1, help="Most tokens in a batch. [default: what memory allows]"
    ),
]
COMPILE = Annotated[
    bool,
    typer.Option("--compile", help="Run norms, gates and rotations through torch.compile (GPU)."),
]
DRY_RUN = Annotated[
    bool, typer.Option("--dry-run", help="Say what the runs would need, without loading a weight.")
]
KEEP_TEXT = Annotated[
    bool,
    typer.Option(
        "--keep-text", help="Keep each row's own text in the store, for predictions and view."
    ),
]
SHARE = Annotated[
    bool, typer.Option("--share/--no-share", help="Run what all prompts begin with only once.")
]
FORCE = Annotated[bool, typer.Option("--force", help="Replace existing stores and start over.")]
LOG = Annotated[
    Path | None,
    typer.Option("--log", help="Add two lines a run to FILE: its beginning and end.", **FILE),
]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")]
