"""Whether a task's label words are one token each for a tokenizer, told without rows."""

from __future__ import annotations

import re

from compread.errors import PromptError
from compread.prompts.encoder import Encoder, Tokenizer
from compread.prompts.label_tokens import label_token_ids
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.tasks import Task, Template

_LAST_TAG = re.compile(r".*[}%#]}", re.DOTALL)
STAND_IN = "word"
"""What stands for a row where a template ends in a field."""


def label_tokens_of(
    task: Task, tokenizer: Tokenizer
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """The token of each label word by template, and a line for each template whose words are bad.

    The words are tried behind what the template ends in, which is all of a prompt that decides.
    """
    tokens: dict[str, dict[str, int]] = {}
    mistakes = []
    for id, template in task.templates.items():
        try:
            tokens[id] = _tokens(task, template, tokenizer)
        except PromptError as error:
            mistakes.append(f"template {id!r}: {error}")
    return tokens, mistakes


def _tokens(task: Task, template: Template, tokenizer: Tokenizer) -> dict[str, int]:
    text = STAND_IN + _LAST_TAG.sub("", template.text)
    labels = template.verbalizer.columns
    made = PromptSet(task.name, labels, (Prompt(text, 0, "test", f"...{text[-20:]}"),))
    encode = Encoder.of(tokenizer, text)
    return dict(zip(labels, label_token_ids(made, encode([text]), encode), strict=True))
