"""What a tokenizer makes of a prompt set, or of a task's labels, said before a model runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from compread.errors import PromptError
from compread.prompts.answer_tokens import AnswerIds, answer_token_ids, without_last_spaces
from compread.prompts.encoder import Encoder, Tokenizer, shown
from compread.prompts.label_tokens import LongLabelError, label_token_ids
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.tasks import Task, Template
from compread.prompts.tokens import TokenizedSet, tokenize

LAST_TOKENS = 5
_LONGEST = 4


def preflight(
    prompt_set: PromptSet, tokenizer: Tokenizer, max_length: int | None = None
) -> TokenizedSet:
    """Try the first, the last and the longest prompts, so that a grid fails before its first run.

    Raises:
        PromptError: as ``tokenize`` does.
    """
    prompts = prompt_set.prompts
    longest = sorted(range(len(prompts)), key=lambda n: -len(prompts[n].text))[:_LONGEST]
    tried = sorted({0, len(prompts) - 1, *longest} if prompts else ())
    return tokenize(
        replace(prompt_set, prompts=tuple(prompts[n] for n in tried)), tokenizer, max_length
    )


def audit(
    prompt_set: PromptSet, tokenizer: Tokenizer, max_length: int | None = None, n: int = 1
) -> list[str]:
    """Lines for people: ``n`` prompts with their last tokens, the labels' tokens, what is odd.

    What is odd is looked for in all prompts.

    Raises:
        PromptError: as ``tokenize`` does.
    """
    tokens = tokenize(prompt_set, tokenizer, max_length)
    encode = Encoder.of(tokenizer, prompt_set.prompts[0].text, prompt_set.special_tokens)
    lines = []
    for number, (prompt, ids) in enumerate(zip(prompt_set.prompts[:n], tokens.ids, strict=False)):
        answers = prompt_set.answers(prompt)
        lines += [
            f"--- {prompt_set.task} {prompt.split} row {prompt.id}, {len(ids)} tokens",
            prompt.text,
            f"--- right label: {answers[prompt.gold]!r}",
            f"--- last tokens: {shown(tokenizer, ids[-LAST_TOKENS:])}",
        ]
        if tokens.answers:
            pairs = zip(answers, tokens.answers[number], strict=True)
            lines += [f"--- answer {_answer(tokenizer, text, own)}" for text, own in pairs]
    if not tokens.answers:
        labels = zip(prompt_set.labels, tokens.label_ids, strict=True)
        each = ", ".join(f"{word!r} = {shown(tokenizer, [id])} ({id})" for word, id in labels)
        lines.append(f"--- labels: {each}")
    begins = shown(tokenizer, encode.before) if encode.before else "no special token added"
    lines.append(f"--- every prompt begins with: {begins}")
    return [*lines, *(f"--- warning: {warning}" for warning in tokens.warnings)]


def _answer(tokenizer: Tokenizer, text: str, tokens: Sequence[int]) -> str:
    count = f"{len(tokens)} token{'s' if len(tokens) > 1 else ''}"
    return f"{text!r}, {count}: {shown(tokenizer, tokens)}"


_LAST_TAG = re.compile(r".*[}%#]}", re.DOTALL)
STAND_IN = "word"
"""What stands for a row where a template ends in a field."""


def label_tokens_of(
    task: Task, tokenizer: Tokenizer
) -> tuple[dict[str, dict[str, tuple[int, ...]]], list[str]]:
    """The tokens of each label word by template, and a line for each template whose words are bad.

    A template whose options are each row's own has no words.

    The words are tried behind what the template ends in, which is all of a prompt that decides.
    """
    tokens: dict[str, dict[str, tuple[int, ...]]] = {}
    mistakes = []
    for id, template in task.templates.items():
        if template.options:
            tokens[id] = {}
            continue
        try:
            tokens[id] = _tokens(task, template, tokenizer)
        except PromptError as error:
            mistakes.append(f"template {id!r}: {error}")
    return tokens, mistakes


def _tokens(task: Task, template: Template, tokenizer: Tokenizer) -> dict[str, tuple[int, ...]]:
    text = STAND_IN + _LAST_TAG.sub("", template.text)
    labels = template.verbalizer.columns
    made = PromptSet(task.name, labels, (Prompt(text, 0, "test", f"...{text[-20:]}"),))
    encode = Encoder.of(tokenizer, text)
    found: AnswerIds
    try:
        found = tuple((id,) for id in label_token_ids(made, encode([text]), encode))
    except LongLabelError:
        bare = encode([prompt.text for prompt in without_last_spaces(made).prompts])
        (found,) = answer_token_ids(made, bare, encode)
    return dict(zip(labels, found, strict=True))
