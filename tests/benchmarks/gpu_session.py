"""Everything that is to be measured on a GPU, in one run of some minutes, as one JSON document.

    python tests/benchmarks/gpu_session.py --out gpu.json [--minutes 8] [--rows 1818]
        [--large 7b|tiny] [--only SECTION,...]

Sections, each written to the file as it ends: ``tests`` (those that run a model, on the card),
``large`` and ``small`` (rows a second of plain, sorted and extract at 4 and at 24 shots, with and
without --compile; share of the matrix peak), ``error`` (parts behind a shared prefix, and plain
bfloat16, against whole prompts in float32), ``memory`` (the forecast beside what was taken),
``ranks`` (two processes on one device beside one), ``profile`` (which kernels the time goes to) and
``rival`` (vLLM with a prefix cache and one token a prompt, where it is installed).

Models have random weights and prompts random tokens, in the lengths of SST-2 behind 4 and 24
demonstrations, so that nothing has to be brought along. ``--large tiny`` runs all of it in a minute
or two on a CPU; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from extract_speed import by_length, peak, plain, timed, whole_extract

from compread.errors import CompreadError
from compread.extract import Engine, Extractor
from compread.extract.memory import bytes_per_token, peak_memory, reset_peak, token_budget
from compread.model import LoadedModel, ModelRequest, find_anatomy, quieten_libraries
from compread.model.load.fingerprint import fingerprint
from compread.model.matrices import forward_flops
from compread.prompts import PromptSet, TokenizedSet
from compread.prompts.sets import Prompt

TESTS = Path(__file__).parents[1]
ON_CARD = ["joined", "lending", "packed", "engine", "launch", "runner"]
SHOTS = {4: 67, 24: 391}
"""Tokens of the shared prefix by the number of demonstrations."""
OWN = (27.3, 11.0, 6, 62)
"""Mean, deviation, least and most of a row's own tokens."""
SHAPES: dict[str, dict[str, int]] = {
    "7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
               num_attention_heads=32, num_key_value_heads=32, vocab_size=32000),
    "135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                 num_attention_heads=9, num_key_value_heads=3, vocab_size=49152),
    "tiny": dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                 num_attention_heads=8, num_key_value_heads=4, vocab_size=500),
}  # fmt: skip
LABELS = (11, 23)
Section = Callable[["Session"], Any]


class Session:
    """The card, the models and the options; one large model is held at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Look at the card."""
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tiny = options.large == "tiny"
        self.large, self.small = options.large, "tiny" if tiny else "135m"
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        self._held: tuple[Any, Extractor] | None = None

    def extractor(self, shape: str, *, compile: bool = False) -> Extractor:
        """A model of random weights, made anew where another is held."""
        key = shape, compile
        if self._held is None or self._held[0] != key:
            self.free()
            self._held = (
                key,
                Extractor(loaded(made(shape, self.dtype, self.device)), compile=compile),
            )
        return self._held[1]

    def free(self) -> None:
        """Let go of the model that is held."""
        if self._held is not None and self._held[1].fusion is not None:
            self._held[1].fusion.undo()  # the family's rotation is fused for all its models
            torch.compiler.reset()
        self._held = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def prompts(self, shape: str, shots: int) -> tuple[PromptSet, TokenizedSet]:
        """Prompts of random tokens behind one prefix."""
        return made_prompts(self.options.rows, SHOTS[shots], SHAPES[shape]["vocab_size"])


def made(shape: str, dtype: torch.dtype, device: torch.device) -> Any:
    """A Llama of random weights, made on the device."""
    config = transformers.LlamaConfig(**SHAPES[shape], max_position_embeddings=4096)
    torch.manual_seed(0)
    with device:
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval().requires_grad_(False)


def loaded(model: Any) -> LoadedModel:
    """The model as if it had been loaded; its tokens are made, so it has no tokenizer."""
    return LoadedModel(ModelRequest("random"), None, model, None, fingerprint(model))


def made_prompts(rows: int, prefix: int, vocabulary: int) -> tuple[PromptSet, TokenizedSet]:
    """Rows of random tokens in the lengths of SST-2 behind a prefix that all share."""
    draw = np.random.default_rng(0)
    mean, deviation, least, most = OWN
    lengths = np.clip(draw.normal(mean, deviation, rows).round().astype(int), least, most)
    head = draw.integers(30, vocabulary, prefix).tolist()
    ids = tuple([*head, *draw.integers(30, vocabulary, n).tolist()] for n in lengths)
    texts = tuple(Prompt(str(n), n % 2, "test", str(n)) for n in range(rows))
    return PromptSet("random", (" a", " b"), texts), TokenizedSet(ids, LABELS, ())


def tests(session: Session) -> Any:
    """The tests that run a model, which take the card where there is one."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    # On a CPU they are the ordinary suite's already.
    chosen = ON_CARD if session.device.type == "cuda" else ON_CARD[:1]
    files = [str(TESTS / "extract" / f"test_{name}.py") for name in chosen]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    return {"status": done.returncode, "said": done.stdout.strip().splitlines()[-8:]}


def rates(session: Session, shape: str) -> Any:
    """Rows a second of each way, by shots, and by whether element-wise work is fused."""
    found = []
    for compile in (False, True):
        try:
            extractor = session.extractor(shape, compile=compile)
        except CompreadError as error:
            found.append({"compile": compile, "error": str(error)})
            continue
        for shots in SHOTS:
            found.append(
                {
                    "shots": shots,
                    "compile": compile,
                    **rate(session, extractor, shape, shots, beside=not compile),
                }
            )
    return found


def rate(
    session: Session, extractor: Extractor, shape: str, shots: int, *, beside: bool
) -> dict[str, Any]:
    """One row of the table: medians of three rounds after one that warms up.

    ``beside`` times plain forwards too, of a sample of the rows.
    """
    prompts, tokens = session.prompts(shape, shots)
    model = extractor.loaded.model
    few = [list(row) for row in tokens.ids[:: max(1, len(tokens.ids) // 192)]]
    rounds = []
    for _turn in range(4):
        before = peak(model, 0.5)
        done, seconds, attribution = whole_extract(extractor, prompts, tokens)
        share = done.flops / seconds / max(before, peak(model, 0.5))
        by = len(few) / timed(lambda: by_length(model, few)) if beside else float("nan")
        rounds.append((done.rows / seconds, by, share, attribution / seconds))
    ours, sorted_rate, share, attribution = map(statistics.median, zip(*rounds[1:], strict=True))
    found = {
        "extract": ours, "of_peak": share, "attribution": attribution,
        "budget": token_budget(model), "flops_a_row": done.flops / done.rows,
    }  # fmt: skip
    if beside:
        found |= {"sorted": sorted_rate, "over_sorted": ours / sorted_rate,
                  "plain": len(few) / timed(lambda: plain(model, few))}  # fmt: skip
    return found


def error(session: Session) -> Any:
    """How far parts are from float32 whole prompts, beside plain half precision's own error."""
    session.free()
    half = torch.bfloat16
    _, tokens = made_prompts(48, SHOTS[4], SHAPES[session.large]["vocab_size"])
    rows = [list(row) for row in tokens.ids]
    prefix = rows[0][: SHOTS[4]]
    model = made(session.large, half, session.device)
    engine = Engine(model, find_anatomy(model), LABELS)
    shared = engine.run([row[len(prefix) :] for row in rows], engine.share(prefix))
    whole = engine.run(rows)
    wide = Engine(model.float(), find_anatomy(model), LABELS).run(rows)
    scale = wide.parts.abs().max()
    off = {
        name: float((batch.parts - wide.parts).abs().max() / scale)
        for name, batch in (("shared", shared), ("whole", whole))
    }
    return {**off, "ratio": off["shared"] / off["whole"]}


def memory(session: Session) -> Any:
    """Bytes that a run may take by the forecast's rule, and what it took."""
    extractor = session.extractor(session.large)
    model = extractor.loaded.model
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    prompts, tokens = session.prompts(session.large, 4)
    reset_peak(session.device)
    whole_extract(extractor, prompts, tokens)
    said = weights + bytes_per_token(model) * token_budget(model)
    return {"weights": weights, "forecast": said, "taken": peak_memory(session.device)}


def ranks(session: Session) -> Any:
    """Two processes on one device write the store that one writes (``test_extract_ranks``)."""
    test = TESTS / "cli" / "test_extract_ranks.py"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--no-header", str(test)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    return {"status": done.returncode, "said": done.stdout.strip().splitlines()[-3:]}


def profile(session: Session) -> Any:
    """The kernels of one extract, the dearest first, and the share of its time that they fill."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    on_card = session.device.type == "cuda"
    activities = [ProfilerActivity.CUDA if on_card else ProfilerActivity.CPU]
    key = "self_device_time_total" if on_card else "self_cpu_time_total"
    found = {}
    for compile, shots in ((True, 4), (True, 24), (False, 4)):
        extractor = session.extractor(session.large, compile=compile)
        prompts, tokens = session.prompts(session.large, shots)
        whole_extract(extractor, prompts, tokens)
        with profiled(activities=activities) as seen:
            _, seconds, _ = whole_extract(extractor, prompts, tokens)
        events = sorted(seen.key_averages(), key=lambda one: -getattr(one, key))
        found[f"{shots} shots{', compiled' * compile}"] = {
            "seconds": seconds,
            "busy": sum(getattr(one, key) for one in events) / 1e6 / seconds,
            "kernels": [[e.key[:200], e.count, getattr(e, key) / 1e6] for e in events[:25]],
        }
    return found


def rival(session: Session) -> Any:
    """Rows a second of vLLM over the same tokens, one token a prompt, its prefix cache warm."""
    if importlib.util.find_spec("vllm") is None:
        return {"skipped": "vllm is not installed"}
    from vllm import LLM, SamplingParams

    session.free()
    with tempfile.TemporaryDirectory() as folder:
        made(session.large, torch.bfloat16, torch.device("cpu")).save_pretrained(folder)
        engine = LLM(folder, skip_tokenizer_init=True, enable_prefix_caching=True, dtype="bfloat16")
        one = SamplingParams(max_tokens=1, logprobs=2, detokenize=False)
        found = {}
        for shots in SHOTS:
            ids = session.prompts(session.large, shots)[1].ids
            requests: Any = [{"prompt_token_ids": list(row)} for row in ids]
            engine.generate(requests[:8], one, use_tqdm=False)
            found[shots] = len(ids) / timed(
                lambda r=requests: engine.generate(r, one, use_tqdm=False)
            )
    return found


SECTIONS: dict[str, Section] = {
    "tests": tests,
    "large": lambda session: rates(session, session.large),
    "profile": profile,
    "memory": memory,
    "small": lambda session: rates(session, session.small),
    "error": error,
    "ranks": ranks,
    "rival": rival,
}


def surroundings(session: Session) -> dict[str, Any]:
    """What the figures were measured on."""
    card = torch.cuda.get_device_name() if session.device.type == "cuda" else None
    flops = forward_flops(made("tiny", torch.float32, torch.device("cpu")), 1, 1)
    return {
        "card": card, "torch": str(torch.__version__), "cuda": torch.version.cuda,
        "transformers": transformers.__version__, "threads": torch.get_num_threads(),
        "dtype": str(session.dtype), "rows": session.options.rows, "large": session.large,
        "flops_of_tiny": flops,
    }  # fmt: skip


@contextmanager
def guarded(found: dict[str, Any], name: str, out: Path) -> Iterator[None]:
    """Keep what a section found or how it failed, and go on: the card is lent for minutes."""
    start = time.perf_counter()
    try:
        yield
    except Exception as error:  # one section's fault must not cost the others
        found[name] = {"error": f"{type(error).__name__}: {error}"[:2000]}
    found.setdefault("seconds", {})[name] = round(time.perf_counter() - start, 1)
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {found['seconds'][name]} s", file=sys.stderr, flush=True)


def main() -> None:
    """Run the sections while there is time, and write the document after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--rows", type=int, default=1818)
    parser.add_argument("--large", choices=sorted(SHAPES), default="7b")
    parser.add_argument("--only", default=",".join(SECTIONS))
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    quieten_libraries(bars=False)
    session = Session(options)
    found: dict[str, Any] = {"on": surroundings(session)}
    end = time.monotonic() + 60 * options.minutes
    for name in options.only.split(","):
        if time.monotonic() > end:
            found[name] = {"skipped": "no time was left"}
            continue
        with guarded(found, name, options.out):
            found[name] = SECTIONS[name](session)


if __name__ == "__main__":
    main()
