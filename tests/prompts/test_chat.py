"""Prompts as a chat model's turns: one BOS, demonstrations as text or turns, the label's space."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tokenizers_made import CHAT, byte_level

from compread.errors import PromptError, UsageError
from compread.prompts import Chat, Prompt, PromptSet, tokenize
from compread.prompts.sets import Pieces

LABELS = (" negative", " positive")
SHOWN = (("Review: dull\nSentiment:", " negative"), ("Review: fine\nSentiment:", " positive"))
TEXTS = [
    *(f"{text}{label}\n" for text, label in SHOWN),
    *LABELS,
    *(label.strip() for label in LABELS),
    "[user] [assistant] [system] Be brief.",
]
GAP = CHAT.replace("{{ gap }}", "")
SPACE = CHAT.replace("{{ gap }}", " ")


def made(instruction: str = "") -> PromptSet:
    """Two rows behind two demonstrations."""
    rows = []
    for n in range(2):
        pieces = Pieces(instruction, SHOWN, f"Review: a film {n}\nSentiment:")
        rows.append(Prompt(pieces.text, n, "test", f"test-{n}", pieces))
    return PromptSet("sst2", LABELS, tuple(rows), template="t", seed=0, shots=2)


def worded(chat: Chat, template: str | None = GAP, instruction: str = "") -> PromptSet:
    """The rows as a tokenizer with that chat template words them."""
    return chat.apply(made(instruction), byte_level(TEXTS, bos=True, chat=template))


def test_demonstrations_as_text() -> None:
    """All of a prompt is one user turn, and the assistant's turn is opened."""
    one = worded(Chat(template=True)).prompts[0]
    assert one.text == f"<s>[user] {made().prompts[0].text}\n[assistant]"


def test_demonstrations_as_turns() -> None:
    """Each demonstration is a user turn and the assistant's word; a system message leads."""
    one = worded(Chat(template=True, system="Be brief.", multiturn=True), instruction="Rate it.")
    assert one.prompts[0].text == (
        "<s>[system] Be brief.\n"
        "[user] Rate it.\n\nReview: dull\nSentiment:\n[assistant] negative\n"
        "[user] Review: fine\nSentiment:\n[assistant] positive\n"
        "[user] Review: a film 0\nSentiment:\n[assistant]"
    )
    assert one.file_name.startswith("sst2-t-k2-s0-chat-turns-system")


def test_never_two_bos() -> None:
    """A tokenizer that adds BOS and a chat template that writes it give one."""
    tokenizer = byte_level(TEXTS, bos=True, chat=GAP)
    ready = Chat(template=True).apply(made(), tokenizer)
    ids = tokenize(ready, tokenizer).ids
    bos = tokenizer.bos_token_id
    assert all(row.count(bos) == 1 and row[0] == bos for row in ids)
    # The twin: with the tokenizer's own special tokens on as well there are two, and it is told.
    doubled = tokenize(replace(ready, special_tokens=True), tokenizer)
    assert all(row[:2] == [bos] * 2 for row in doubled.ids)
    assert any("adds it once more" in warning for warning in doubled.warnings)


@pytest.mark.parametrize(("template", "labels"), [(GAP, LABELS), (SPACE, ("negative", "positive"))])
def test_the_label_follows_the_header_as_the_template_writes_it(
    template: str, labels: tuple[str, ...]
) -> None:
    """The words keep their space where the template writes one, and lose it where it is written."""
    ready = worded(Chat(template=True), template)
    assert ready.labels == labels
    assert [row.gold for row in ready.prompts] == [0, 1]


def test_a_system_paragraph_without_a_chat_template() -> None:
    """Without a chat template the system message is a paragraph in front."""
    ready = worded(Chat(system="Be brief."), None)
    assert ready.prompts[1].text == f"Be brief.\n\n{made().prompts[1].text}"
    assert ready.labels == LABELS and ready.special_tokens


def test_no_chat_template() -> None:
    """A tokenizer without one is told with the ways out."""
    with pytest.raises(PromptError, match="no chat template: leave --apply-chat-template out"):
        worded(Chat(template=True), None)


def test_a_template_that_refuses_system_messages() -> None:
    """What the template raises is told in one line, with the option to leave out."""
    strict = "{{ raise_exception('System role\nnot supported') if messages[0].role == 'system' }}"
    with pytest.raises(PromptError, match=r"System role not supported.*--system-instruction") as e:
        worded(Chat(template=True, system="x"), strict + GAP)
    assert "\n" not in str(e.value)


def test_turns_need_a_chat_template() -> None:
    """Demonstrations as turns of plain text make no sense."""
    with pytest.raises(UsageError, match="--apply-chat-template"):
        Chat(multiturn=True)


@pytest.mark.parametrize("change", [{"system": "y"}, {"multiturn": True}, {}])
def test_variants_have_names_of_their_own(change: dict[str, Any]) -> None:
    """Runs that word a prompt differently do not share a store's name, and record how."""
    base, other = Chat(template=True, system="x"), Chat(**{"template": True, **change})
    one, two = worded(base), worded(other)
    assert one.file_name != two.file_name and one.hash != two.hash
    assert two.protocol["system_instruction"] == change.get("system")
    assert two.protocol["fewshot_as_multiturn"] is bool(change.get("multiturn"))


@pytest.mark.parametrize(
    "part",
    [
        "{{ 'x' * 1000000000 }}",
        "{% if false %}{{ 'x' * 1000000000 }}{% endif %}",
        "{% if false %}{{ 'x' | center(1000000000) }}{% endif %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% generation %}{{ 10 ** (10 ** 9) }}{% endgeneration %}",
    ],
)
def test_chat_templates_have_a_budget(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chat template that would take the machine is refused before it is rendered or folded."""
    monkeypatch.setattr("compread.prompts.budget.WORK", 2_500_000)
    with pytest.raises(PromptError, match=r"chat template is refused: .*--apply-chat-template"):
        worded(Chat(template=True), template=GAP + part)


def test_what_chat_templates_do() -> None:
    """What chat templates use is rendered: marks, breaks, JSON, dates, special tokens."""
    extra = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{% if loop.index0 > 9 %}{% break %}{% endif %}{% endfor %}{{ ns.n }}"
        "{{ messages[0] | tojson }}{{ strftime_now('%Y')[:1] }}{{ nothing }}{{ bos_token }}"
        "{% generation %}{{ messages | map(attribute='role') | join }}{% endgeneration %}"
        "{% if not messages %}{{ raise_exception('none') }}{% endif %}"
    )
    text = worded(Chat(template=True), template=GAP + extra).prompts[0].text
    assert text.endswith("<s>user") and '"role": "user"' in text
