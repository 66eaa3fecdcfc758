"""Reading a task's YAML file, with messages that name the file and the line.

    description: one line                           (required)
    license: of the data                            (optional)
    source:                                         (optional; without it, local data only)
      id: hub id, or a folder in hub layout
      config: name of the data set's configuration  (optional)
      revision: commit                              (optional)
      splits: {train: NAME, test: NAME}
    label: {field: NAME, values: [v0, v1, ...]}     (values in column order)
    shots: 4                                        (optional; 3 for three classes)
    budget: 24                                      (optional)
    templates:
      ID: {text: Jinja2, labels: [" word0", ...], wording: where from (optional)}

The task's name is the file's stem.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.prompts.tasks import Source, Task, Template, default_shots
from compread.prompts.templates import template_fields

SPLITS = ("train", "test")


class _Mapping(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


@dataclass(frozen=True)
class _Section:
    """One mapping of the file; every message carries the file and the line."""

    file: Path
    path: str
    values: _Mapping

    def error(self, key: str, what: str) -> PromptError:
        line = self.values.lines.get(key, min(self.values.lines.values(), default=1))
        name = f"{self.path}.{key}" if self.path else key
        return PromptError(f"{self.file}, line {line}: {name!r} {what}")

    def check_keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        known = [*required, *optional]
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise self.error(key, f"is not a key here: {hint}known are {', '.join(known)}")
        for key in required:
            if key not in self.values:
                raise self.error(key, "is missing")

    def text(self, key: str, default: str | None = None) -> str | None:
        value = self.values.get(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            raise self.error(key, f"is {value!r}, not text; put it in quotes")
        return value

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def count(self, key: str, default: int) -> int:
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.error(key, f"is {value!r}, not a whole number from 0 up")
        return value

    def distinct(self, key: str, allowed: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
        values = self.values[key]
        if not isinstance(values, list) or not all(allowed(value) for value in values):
            raise self.error(key, f"is {values!r}, not a list of {what}")
        if len(values) < 2 or any(v in values[:i] for i, v in enumerate(values)):
            raise self.error(key, f"is {values!r}; it must hold two or more different entries")
        return tuple(values)

    def section(self, key: str) -> _Section:
        value = self.values[key]
        if not isinstance(value, _Mapping) or not value:
            raise self.error(key, f"is {value!r}, not a mapping of keys to values")
        return _Section(self.file, f"{self.path}.{key}" if self.path else key, value)


def read_task_file(file: Path) -> Task:
    """Read and check one task file.

    Raises:
        PromptError: unreadable, not YAML, an unknown or missing key, a value of the wrong kind, a
            template that is not Jinja2, or label words that do not fit the classes.
    """
    top = _Section(file, "", _load(file))
    top.check_keys(("description", "label", "templates"), ("license", "source", "shots", "budget"))
    label = top.section("label")
    label.check_keys(("field", "values"))
    values = label.distinct("values", lambda v: isinstance(v, int | str), "numbers or texts")
    templates = top.section("templates")
    return Task(
        name=file.stem,
        description=top.required_text("description"),
        source=_source(top.section("source")) if "source" in top.values else None,
        label_field=label.required_text("field"),
        label_values=values,
        templates={
            id: _template(id, templates.section(id), len(values)) for id in templates.values
        },
        shots=top.count("shots", default_shots(len(values))),
        budget=top.count("budget", 24),
        license=top.text("license") or "",
    )


def _source(section: _Section) -> Source:
    section.check_keys(("id", "splits"), ("config", "revision"))
    splits = section.section("splits")
    splits.check_keys(SPLITS)
    return Source(
        id=section.required_text("id"),
        splits={split: splits.required_text(split) for split in SPLITS},
        config=section.text("config"),
        revision=section.text("revision"),
    )


def _template(template_id: str, section: _Section, n_classes: int) -> Template:
    section.check_keys(("text", "labels"), ("wording",))
    text = section.required_text("text")
    try:
        template_fields(text)
    except PromptError as error:
        raise section.error("text", f"cannot be used: {error}") from error
    words = section.distinct(
        "labels", lambda v: isinstance(v, str) and v.strip() != "", "words in quotes"
    )
    if len(words) != n_classes:
        raise section.error("labels", f"has {len(words)} words for {n_classes} label values")
    return Template(template_id, text, words, section.text("wording") or "")


def _load(file: Path) -> _Mapping:
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that keeps key lines and refuses a key written twice."""

    def construct(loader: Loader, node: yaml.MappingNode) -> _Mapping:
        mapping = _Mapping()
        mapping.lines = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node))
            if key in mapping:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is written twice", problem_mark=key_node.start_mark
                )
            value = loader.construct_object(value_node, deep=True)
            mapping[key] = value
            mapping.lines[key] = key_node.start_mark.line + 1
        return mapping

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)
    try:
        loaded = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise PromptError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{file} is not UTF-8 text: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PromptError(f"{file}, line {line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PromptError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, _Mapping):
        raise PromptError(f"{file} holds {type(loaded).__name__}, not a mapping of keys to values")
    return loaded
