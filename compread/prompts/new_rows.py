"""New rows of a task behind the demonstrations of a finished run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compread.errors import PromptError, option
from compread.prompts.chat import Chat
from compread.prompts.load_tasks import load_task
from compread.prompts.row_options import MOST_ANSWERS, row_answers
from compread.prompts.sets import Pieces, Prompt, PromptSet
from compread.prompts.tasks import Template, Verbalizer
from compread.prompts.templates import expression_fields, render, told_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class NewRows:
    """How a run's prompts are made, for rows that it did not have."""

    task: str
    labels: tuple[str, ...]
    """Empty where each row brings answers of its own."""
    classes: tuple[str, ...]
    protocol: Mapping[str, Any]
    """``PromptSet.protocol`` of the run."""
    template: Template | None
    """None: a row is a whole prompt."""
    fields: Mapping[str, str]
    """``Task.fields`` of the run's task."""

    @classmethod
    def of_run(
        cls,
        task: str,
        template: str | None,
        template_text: str | None,
        protocol: Mapping[str, Any],
        labels: tuple[str, ...],
        classes: tuple[str, ...],
        include_path: Path | None = None,
    ) -> NewRows:
        """What a run's record says of its prompts.

        Runs of older versions have not kept the task's ``fields``: ``include_path`` has the task.

        Raises:
            PromptError: the record is of an older version, and the task is not known or its
                template another one by now.
        """
        if template is None or template_text is None:
            return cls(task, labels, classes, protocol, None, {})
        fields = protocol.get("fields")
        if fields is None:
            fields = _fields_of(task, template, template_text, include_path)
        words = Verbalizer((), ())  # rendering needs none
        options, answer = (protocol.get(key) or "" for key in ("options", "answer"))
        made = Template(template, template_text, words, options=options, answer=answer)
        return cls(task, labels, classes, protocol, made, fields)

    @property
    def chat(self) -> Chat:
        """The chat template and system message of the run."""
        says = self.protocol
        return Chat(
            says.get("chat_template") is not None,
            says.get("system_instruction"),
            bool(says.get("fewshot_as_multiturn")),
        )

    def prompt_set(self, prompts: Iterable[Prompt], tokenizer: Any) -> PromptSet:
        """Prompts of ``prompt`` as the run's were worded, in order.

        Raises:
            PromptError: the chat template is another one, or what ``Chat.apply`` raises.
        """
        text = self.template.text if self.template else None
        made = PromptSet(
            self.task, self.labels, tuple(prompts), template_text=text, classes=self.classes
        )
        if self.chat.plain:
            return made
        worded = self.chat.apply(made, tokenizer)
        if worded.protocol.get("chat_template") != self.protocol.get("chat_template"):
            raise PromptError(
                "the tokenizer's chat template is not the one that the weights were fitted with; "
                "take the model's files of that time, or fit the weights again"
            )
        return worded

    def prompt(self, name: str, row: Row) -> Prompt:
        """The prompt of a row whose id is ``name``.

        Raises:
            PromptError: the row lacks a field of the template, or has null there, or has no
                answers of its own where the run's rows had those.
        """
        prompt = self._prompt(name, row)
        return prompt if self.labels else replace(prompt, answers=self._answers(name, row))

    def _prompt(self, name: str, row: Row) -> Prompt:
        if "prompt" in row:
            text = row["prompt"]
            if not isinstance(text, str) or not text:
                raise PromptError(f"row {name!r}: 'prompt' is {text!r:.60}, not a text")
            return Prompt(text, 0, "test", name)
        if self.template is None:
            raise PromptError(
                f"row {name!r} has no 'prompt'; the weights are from a prompt file, so each row "
                "is a whole prompt"
            )
        shown = self.protocol.get("shown")
        if shown is None:
            raise PromptError(
                f"row {name!r} has no 'prompt', and the weights' run has not kept one set of "
                "demonstrations; give whole prompts, or extract and fit again"
            )
        fields = self._named(row)
        with told_of(f"row {name!r}"):
            instruction = self._instruction(fields)
            pieces = Pieces(instruction, tuple(map(tuple, shown)), render(self.template, fields))
        return Prompt(pieces.text, 0, "test", name, pieces)

    def _answers(self, name: str, row: Row) -> tuple[str, ...]:
        """What a row chooses from: its ``options`` as they stand, or what the template makes."""
        template = self.template
        asked = template.options if template and "prompt" not in row else ""
        if not asked or template is None or "options" in {*row} - expression_fields(asked):
            return _own_answers(name, row)
        with told_of(f"row {name!r}"):
            found = row_answers(template, self._named(row))
        return _own_answers(name, {"options": list(found)})

    def _named(self, row: Row) -> Row:
        """The row with the names that the task's templates use, where it has the data's."""
        return {**row, **{to: row[of] for to, of in self.fields.items() if of in row}}

    def _instruction(self, row: Row) -> str:
        text = self.protocol.get("instruction")
        if not text or self.template is None:
            return ""
        return render(Template("instruction", text, self.template.verbalizer), row)


def _fields_of(
    task: str, template: str, template_text: str, include_path: Path | None
) -> Mapping[str, str]:
    """The fields of a task whose template must still be the one that a run had."""
    loaded = load_task(task, include_path)
    found = loaded.template(template)
    if found.text != template_text:
        raise PromptError(
            f"template {template!r} of task {task!r} is not the one that the weights were "
            f"fitted with ({template_text!r}); give the task file they had "
            f"({option('include-path')})"
        )
    return loaded.fields


def _own_answers(name: str, row: Row) -> tuple[str, ...]:
    """The answers that a row brings."""
    options: Any = row.get("options")
    good = isinstance(options, list) and all(isinstance(one, str) and one for one in options)
    if not good or not 2 <= len(options) <= MOST_ANSWERS or len(set(options)) < len(options):
        raise PromptError(
            f"row {name!r}: 'options' is {options!r:.60}, and the weights are of rows with answers "
            f"of their own; expected 2 to {MOST_ANSWERS} different texts"
        )
    return tuple(options)
