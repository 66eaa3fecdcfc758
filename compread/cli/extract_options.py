"""The options of ``extract``, each with its help; the command's signature names them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from compread.cli import complete
from compread.cli.values import PATH


class Selection(str, Enum):
    """Whose demonstrations a prompt shows."""

    fixed = "fixed"
    nearest = "nearest"


# --- the model
MODEL = Annotated[
    str, typer.Option("--model", help="Hub id, folder or .gguf file.", show_default=False)
]
REVISION = Annotated[str | None, typer.Option("--revision", help="Hub revision of the model.")]
REVISIONS = Annotated[
    str | None,
    typer.Option(
        "--revisions", help="Several, such as step1000,step4000; of a folder, its subfolders."
    ),
]
DTYPE = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
DEVICE = Annotated[str, typer.Option("--device", help="auto, cuda, cuda:1, mps or cpu.")]
DEVICE_MAP = Annotated[
    str | None, typer.Option("--device-map", help="Spread a large model: auto, balanced ...")
]
ADAPTER = Annotated[
    str | None, typer.Option("--adapter", help="A peft adapter (LoRA, DoRA): hub id or folder.")
]
MERGE_ADAPTER = Annotated[
    bool, typer.Option("--merge-adapter", help="Add the adapter to the weights first.")
]
QUANTIZE = Annotated[
    str | None, typer.Option("--quantize", help="8bit or 4bit: quantize while loading.")
]
ATTENTION = Annotated[
    str | None,
    typer.Option("--attn-implementation", help="eager, sdpa, ... [default: the model's]"),
]
TRUST = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run code that comes with the model. Read it first."),
]
OFFLINE = Annotated[bool, typer.Option("--offline", help="Use local files and caches only.")]

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
    str | None, typer.Option("--prompts", help="A prompt set in JSON Lines; - for stdin.")
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
    typer.Option("--seeds", help="Demonstration sets, such as 0-4. [default: 0; lm_eval: 1234]"),
]
NUM_FEWSHOT = Annotated[
    int | None, typer.Option("--num-fewshot", help="Demonstrations. [default: the task's]")
]
N_TRAIN = Annotated[
    int | None, typer.Option("--n-train", help="Train rows. [default: 24 less the shots]")
]
LIMIT = Annotated[
    int | None, typer.Option("--limit", help="Test rows. [default: 2000 or all there are]")
]
LABELS = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help='Label words of --prompts: " negative, positive"; | between words of one class.',
    ),
]
DEMO_LABELS = Annotated[
    str | None,
    typer.Option("--demo-labels", help="Classes of the demonstrations in order, such as 0,0,0,0."),
]
SELECTION = Annotated[
    Selection,
    typer.Option(
        "--prompt-selection", help="nearest: each row's most similar labelled examples (PromptS)."
    ),
]
EMBEDDER = Annotated[
    str | None,
    typer.Option("--embedder", help="For nearest: a sentence-transformers id or folder."),
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
        help="Also run each row's answers behind a prompt that says nothing, for --normalize pmi.",
    ),
]
UNCONDITIONAL_PROMPT = Annotated[
    str | None,
    typer.Option(
        "--unconditional-prompt",
        metavar="TEXT",
        help="That prompt, such as Answer:  [default: the token that a text begins with]",
        show_default=False,
    ),
]
DATA_DIR = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with TASK/{train,test}.jsonl.", **PATH),
]
INCLUDE_PATH = Annotated[
    Path | None,
    typer.Option("--include-path", help="Folder with task files, yours or lm-eval's.", **PATH),
]
CHAT_TEMPLATE = Annotated[
    bool,
    typer.Option("--apply-chat-template", help="Put prompts through the model's chat template."),
]
SYSTEM = Annotated[
    str | None, typer.Option("--system-instruction", help="A system message before each prompt.")
]
MULTITURN = Annotated[
    bool,
    typer.Option("--fewshot-as-multiturn", help="Demonstrations as turns of the chat."),
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
        help="A .h5 path for one run; else a folder, such as stores/{model}.",
        show_default=False,
        **PATH,
    ),
]
BATCH_TOKENS = Annotated[
    int | None,
    typer.Option("--batch-tokens", min=1, help="Tokens in a batch. [default: what memory allows]"),
]
COMPILE = Annotated[
    bool,
    typer.Option("--compile", help="Fuse norms, gates and rotations by torch.compile (GPU)."),
]
DRY_RUN = Annotated[
    bool, typer.Option("--dry-run", help="Say what the runs will take, without loading a weight.")
]
KEEP_TEXT = Annotated[
    bool,
    typer.Option(
        "--keep-text", help="Keep each row's own text in the store, for predictions and view."
    ),
]
SHARE = Annotated[
    bool, typer.Option("--share/--no-share", help="Run the prompts' shared prefix once.")
]
FORCE = Annotated[bool, typer.Option("--force", help="Replace existing stores and start over.")]
LOG = Annotated[
    Path | None,
    typer.Option("--log", help="Add lines to FILE: each run's beginning and end.", **PATH),
]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")]
