"""Tasks, templates, demonstrations and label words: what a run's prompts are made from.

Reading order: ``tasks`` (a task as data), ``verbalizers`` (its label words), ``task_files`` (its
YAML, through ``yaml_sections``), ``templates`` (row to text),
``sources`` (where rows come from), ``sampling`` (which rows), ``build`` (prompt sets of a task),
``files`` (a prompt set of the user's own), ``encoder`` (special tokens), ``label_tokens`` (the one
token of each label), ``tokens`` (token ids of a prompt set).
"""

from compread.prompts.build import Pool, Pools, build_prompt_set, make_pools, prompt_sets
from compread.prompts.encoder import Tokenizer
from compread.prompts.files import read_prompt_file
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.sources import load_rows
from compread.prompts.tasks import Source, Task, Template, load_task, task_names
from compread.prompts.templates import render, template_fields
from compread.prompts.tokens import TokenizedSet, tokenize
from compread.prompts.verbalizers import Verbalizer

__all__ = [
    "Pool",
    "Pools",
    "Prompt",
    "PromptSet",
    "Source",
    "Task",
    "Template",
    "TokenizedSet",
    "Tokenizer",
    "Verbalizer",
    "build_prompt_set",
    "load_rows",
    "load_task",
    "make_pools",
    "prompt_sets",
    "read_prompt_file",
    "render",
    "task_names",
    "template_fields",
    "tokenize",
]
