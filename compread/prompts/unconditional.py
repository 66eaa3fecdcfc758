"""A prompt set's answers behind a prompt that says nothing of any row.

How likely an answer is there tells how likely it is anyway (Brown et al. 2020; Holtzman et al.
2021): log p(y | x) - log p(y | unconditional prompt) is what the row adds. Each list of answers
that rows choose from is run once, in the split ``unconditional``; rows that choose from the same
answers in the same order have one in common. A chat template has it as the one message of the user,
behind the system message that all rows have.
"""

from __future__ import annotations

from dataclasses import replace

from compread.errors import PromptError, flag
from compread.options import UNCONDITIONAL
from compread.prompts.encoder import Encoder, Tokenizer
from compread.prompts.sets import Prompt, PromptSet


def with_unconditional(prompt_set: PromptSet, text: str | None = None) -> PromptSet:
    """The prompt set with every list of its answers behind ``text`` as well.

    None is the prompt set's own (``PromptSet.unconditional``). An empty text is the token that a
    text begins with, as in lm-evaluation-harness.
    """
    text = prompt_set.unconditional if text is None else text
    lists = dict.fromkeys(prompt.answers for prompt in prompt_set.prompts)
    rows = (
        Prompt(text, 0, UNCONDITIONAL, str(n), answers=answers) for n, answers in enumerate(lists)
    )
    protocol = {**prompt_set.protocol, "unconditional": text}
    return replace(prompt_set, prompts=(*prompt_set.prompts, *rows), protocol=protocol)


def is_unconditional(prompt: Prompt) -> bool:
    """Whether a prompt is one of those that were added."""
    return prompt.split == UNCONDITIONAL


def begun(prompt_set: PromptSet, encode: Encoder) -> PromptSet:
    """The prompts with the token that a text begins with where one is empty.

    Raises:
        PromptError: the tokenizer has none.
    """
    if not any(is_unconditional(prompt) and not prompt.text for prompt in prompt_set.prompts):
        return prompt_set
    start = _start(encode)
    return replace(
        prompt_set,
        prompts=tuple(
            replace(p, text=start) if is_unconditional(p) and not p.text else p
            for p in prompt_set.prompts
        ),
    )


def _start(encode: Encoder) -> str:
    if encode.before:
        return ""  # the tokenizer puts it there
    tokenizer: Tokenizer = encode.tokenizer
    for name in ("bos_token", "eos_token"):
        if token := getattr(tokenizer, name, None):
            return str(token)
    raise PromptError(
        f"{flag('unconditional')}: the tokenizer has no token that a text begins or ends with; "
        "give the unconditional prompt as a text"
    )
