"""Prompts as a chat model's turns, through the tokenizer's own chat template.

The template writes every special token, BOS too, so the tokenizer must add none: there is never a
second BOS. What stands between the assistant's header and its word, a space or nothing, is the
template's as well; the label words are taken as it would write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from compread.errors import PromptError, UsageError, flag, option
from compread.prompts.sets import Pieces, Prompt, PromptSet
from compread.text import one_line

Message = dict[str, str]


@dataclass(frozen=True)
class Chat:
    """How prompts are put to a model beyond plain text; by default, not at all."""

    template: bool = False
    """Through the tokenizer's chat template."""
    system: str | None = None
    """The system message; without a chat template, a paragraph in front."""
    multiturn: bool = False
    """Each demonstration is a turn of its own, not text of the one user message."""

    def __post_init__(self) -> None:
        if self.multiturn and not self.template:
            raise UsageError(
                f"demonstrations as turns need a chat template: {flag('apply-chat-template')}"
            )

    @property
    def plain(self) -> bool:
        """Whether prompts stay as they are."""
        return not self.template and self.system is None

    @property
    def variant(self) -> str:
        """What a store's name says of it."""
        chat = "-chat" if self.template else ""
        system = "" if self.system is None else f"-system{_digest(self.system)[:6]}"
        return chat + ("-turns" if self.multiturn else "") + system

    def apply(self, prompt_set: PromptSet, tokenizer: Any) -> PromptSet:
        """The prompt set as this model's tokenizer words it.

        Raises:
            PromptError: the tokenizer has no chat template, or its template refuses the turns.
        """
        if self.template and "lm_eval" in prompt_set.protocol:
            raise PromptError(
                f"the prompts of {prompt_set.task} are whole texts of lm-evaluation-harness: leave "
                f"{flag('apply-chat-template')} out"
            )
        protocol = {**prompt_set.protocol, "system_instruction": self.system}
        named = replace(prompt_set, variant=prompt_set.variant + self.variant, protocol=protocol)
        if not self.template:
            return replace(named, prompts=tuple(map(self._with_paragraph, prompt_set.prompts)))
        used = _template_text(tokenizer)
        protocol |= {"chat_template": _digest(used)[:16], "fewshot_as_multiturn": self.multiturn}
        turns = [self._messages(prompt) for prompt in prompt_set.prompts]
        texts = [_rendered(tokenizer, messages, opened=True) for messages in turns]
        labels = _labels(tokenizer, turns[0], texts[0], prompt_set.labels)
        prompts = tuple(
            replace(prompt, text=text)
            for prompt, text in zip(prompt_set.prompts, texts, strict=True)
        )
        if prompt_set.has_own_answers:
            prompts = _with_answers(tokenizer, turns[0], prompts)
        own = prompt_set.classes in ((), prompt_set.labels)
        return replace(
            named,
            labels=labels,
            classes=() if own else prompt_set.classes,
            prompts=prompts,
            special_tokens=False,
        )

    def _with_paragraph(self, prompt: Prompt) -> Prompt:
        if self.system is None:
            return prompt
        if not prompt.text:  # an unconditional one; spaces at its end would be its answers'
            return replace(prompt, text=self.system)
        return replace(prompt, text=f"{self.system}\n\n{prompt.text}")

    def _messages(self, prompt: Prompt) -> list[Message]:
        pieces = prompt.pieces or Pieces("", (), prompt.text)
        messages = [] if self.system is None else [_message("system", self.system)]
        if not self.multiturn:
            return [*messages, _message("user", pieces.text)]
        before = f"{pieces.instruction}\n\n" if pieces.instruction else ""
        for text, label in pieces.demonstrations:
            messages += [_message("user", before + text), _message("assistant", label.strip())]
            before = ""
        return [*messages, _message("user", before + pieces.input)]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _template_text(tokenizer: Any) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except (ValueError, AttributeError) as error:
        raise PromptError(
            "the model's tokenizer has no chat template: leave "
            f"{flag('apply-chat-template')} out, or take a chat model"
        ) from error


def _rendered(tokenizer: Any, messages: Sequence[Message], *, opened: bool) -> str:
    """The turns as text, with the assistant's turn opened after them or not."""
    from compread.prompts.budget import OverBudgetError
    from compread.prompts.chat_sandbox import try_chat_template

    try:
        special = getattr(tokenizer, "special_tokens_map", {})
        try_chat_template(_template_text(tokenizer), messages, opened, special)
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=opened
        )
    except OverBudgetError as error:
        raise PromptError(
            f"the model's chat template is refused: {error}; leave "
            f"{flag('apply-chat-template')} out"
        ) from error
    except Exception as error:  # a template raises what it likes
        system = messages[0]["role"] == "system"
        way = (
            f"it may know no system message: leave {option('system-instruction')} out"
            if system
            else (f"leave {flag('fewshot-as-multiturn')} or {flag('apply-chat-template')} out")
        )
        first = one_line(error)
        raise PromptError(f"the chat template refuses the turns ({first}); {way}") from error
    return str(text)


def _labels(
    tokenizer: Any, turns: Sequence[Message], prompt: str, labels: Sequence[str]
) -> tuple[str, ...]:
    """The words as the template writes them after the opened assistant's turn."""
    return tuple(
        _space_before(tokenizer, turns, prompt, label.strip()) + label.strip() for label in labels
    )


def _with_answers(
    tokenizer: Any, turns: Sequence[Message], prompts: Sequence[Prompt]
) -> tuple[Prompt, ...]:
    """The prompts with their own answers as the template writes the first one of the first."""
    first = prompts[0].answers[0].strip()
    space = _space_before(tokenizer, turns, prompts[0].text, first)
    return tuple(
        replace(prompt, answers=tuple(space + answer.strip() for answer in prompt.answers))
        for prompt in prompts
    )


def _space_before(tokenizer: Any, turns: Sequence[Message], prompt: str, word: str) -> str:
    """What the template writes between the opened assistant's turn and its word."""
    whole = _rendered(tokenizer, [*turns, _message("assistant", word)], opened=False)
    rest = whole.removeprefix(prompt)
    space = rest[: len(rest) - len(rest.lstrip(" "))]
    return space if rest != whole and rest.startswith(space + word) else ""
