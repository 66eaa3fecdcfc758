"""A folder that has what the README and the manual take for granted, all of it tiny.

Models and data sets stand in folders of their hub ids, which loaders prefer to the hub; stores come
from the commands themselves.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from prompts.made_rows import VALUES, made_rows, write_data, write_json_lines
from prompts.own_rows import OWN_ROWS
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from compread.prompts import load_task, task_names

HUB_IDS = (
    "gpt2", "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-13b-hf", "mistralai/Mistral-7B-v0.1",
    "SmolLM2-135M-Instruct",
)  # fmt: skip
_STORE = "stores/sst2-review-sentiment-k4-s0.h5"
_EXTRACT = "extract --quiet --data-dir data --tasks sst2 --seeds 0,1"
MADE_BY = {
    "compread-demo": "demo --model SmolLM2-135M-Instruct --data-dir data",
    "stores": f"{_EXTRACT} --model gpt2 --templates review-sentiment,said -o stores",
    "other": f"{_EXTRACT} --model gpt2 --templates said -o other",
    "base": f"{_EXTRACT} --model gpt2 -o base",
    "chat": f"{_EXTRACT} --model meta-llama/Llama-2-7b-hf -o chat",
    "my.h5": "extract --quiet --model gpt2 --prompts my.jsonl -o my.h5",
    "weights.json": f"reweight {_STORE} --methods blend --save weights.json",
}
"""What a page may read without having made it, and the command that makes it."""


def make_inputs(folder: Path, task_file: str) -> None:
    """Models, data, a prompt file, rows to label and a task file of the user's own."""
    tasks = [name for name in task_names() if name in VALUES]
    write_data(folder / "data", *tasks, n_train=120, n_test=24)
    for split, count in (("train", 120), ("test", 24)):
        rows = made_rows("sst2", split, count)
        write_json_lines(folder / f"data/movie_snippets/{split}.jsonl", rows)
        questions = [{"question": f"is it {split} {n}", "answer": n % 2 == 1} for n in range(count)]
        write_json_lines(folder / f"data/mine/{split}.jsonl", questions)
    own = [name for name in OWN_ROWS if name not in tasks]
    for name in own:
        for split, count in (("train", 60), ("test", 24)):
            rows = [OWN_ROWS[name](n, split) for n in range(count)]
            write_json_lines(folder / "data" / name.replace(":", "/") / f"{split}.jsonl", rows)
    for task in map(load_task, [*tasks, *own]):
        _write_hub_data(folder, task)
    texts = [path.read_text("utf-8") for path in folder.rglob("*.jsonl")]
    # Options begin with a space in a prompt, and with a quote in their file.
    tokenizer = _tokenizer([*texts, *(text.replace('"', " ") for text in texts)])
    for seed, name in enumerate(HUB_IDS):
        torch.manual_seed(seed)
        _model(len(tokenizer)).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    words = (" negative", " positive")
    prompts = [
        {"prompt": f"Review: a film {n}\nSentiment:", "label": words[n % 2], "options": list(words),
         "split": "train" if n < 8 else "test"}
        for n in range(24)
    ]  # fmt: skip
    write_json_lines(folder / "my.jsonl", prompts)
    write_json_lines(folder / "texts.jsonl", [{"sentence": f"a film {n}"} for n in range(3)])
    opinions = [f"the film {n} is fine,{('neg', 'pos')[n % 2]}" for n in range(80)]
    (folder / "opinions.csv").write_text("\n".join(["text,label", *opinions]), encoding="utf-8")
    (folder / "my_tasks").mkdir()
    (folder / "my_tasks" / "mine.yaml").write_text(task_file, encoding="utf-8")


def copy_for(page: str, made: Path, folder: Path) -> None:
    """Copy what ``make_inputs`` and ``MADE_BY`` made, but for what a page makes itself."""
    for path in made.iterdir():
        if f"-o {path.name}" not in page and f"--save {path.name}" not in page:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, folder / path.name)


def _write_hub_data(folder: Path, task: Any) -> None:
    """A folder of the data set's hub id, with the task's configuration of it."""
    if task.source is None or task.lender:
        return
    at = folder / task.source.id
    at.mkdir(parents=True, exist_ok=True)
    files, file = "", task.name.replace(":", "-")
    for split, name in task.source.splits.items():
        shutil.copy(folder / "data" / task.folder / f"{split}.jsonl", at / f"{file}-{split}.jsonl")
        files += f"  - split: {name}\n    path: {file}-{split}.jsonl\n"
    readme = at / "README.md"
    before = (
        readme.read_text("utf-8").removesuffix("---\n") if readme.exists() else "---\nconfigs:\n"
    )
    named = f"- config_name: {task.source.config or 'default'}\n  data_files:\n"
    readme.write_text(f"{before}{named}{files}---\n", encoding="utf-8")


def _tokenizer(texts: list[str]) -> Any:
    """One token a word of the texts, of the templates and of their label words."""
    for task in (load_task(name, any_subject=True) for name in task_names()):
        for template in task.templates.values():
            texts += [
                template.text,
                *(word for words in template.verbalizer.words for word in words),
            ]
    core = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|\s|[^\sA-Za-z]"), "isolated")
    core.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>"])
    core.train_from_iterator([*texts, " No no Yes yes neg pos"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }} : {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant :{% endif %}"
    )
    return tokenizer


def _model(vocabulary: int) -> Any:
    """A random Llama of two layers."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
        initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(config)
