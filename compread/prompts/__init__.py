"""Tasks, templates, demonstrations and label words: what a run's prompts are made from.

Reading order: ``tasks`` (a task as data), ``names`` (what can be a file's name), ``task_files``
(its YAML, through ``template_files`` and ``yaml_reader``), ``load_tasks`` (the tasks that there
are), ``new_task`` (a file for a user's own rows), ``templates`` (row to text, in the ``sandbox``
and on a ``budget``), ``sources`` (where rows come from; ``local_files``, ``csv_rows``),
``sampling`` (which rows), ``nearest`` (demonstrations like the row), ``build`` (prompt sets of a
task), ``row_options`` (what a row chooses from), ``files`` (a prompt set of one's own), ``lm_eval``
(those of lm-evaluation-harness's tasks), ``chat`` (prompts as a chat model's turns;
``chat_sandbox``), ``encoder`` (special tokens), ``label_tokens`` (the one token of each label),
``answer_tokens`` (those of answers of a row's own), ``unconditional`` (answers behind a prompt that
says nothing), ``tokens`` (token ids of a prompt set), ``audit`` (what the tokenizer makes of it).
"""

from compread.prompts.answer_tokens import AnswerIds
from compread.prompts.audit import audit, preflight
from compread.prompts.build import prompt_sets
from compread.prompts.chat import Chat
from compread.prompts.files import prompts_of_rows, read_prompt_file
from compread.prompts.lm_eval import is_lm_eval, lm_eval_sets, refuse_choices
from compread.prompts.load_tasks import every_task, load_task, mistakes_in, task_names
from compread.prompts.nearest import Nearest, load_embedder
from compread.prompts.new_task import NewTask, new_task
from compread.prompts.sets import Prompt, PromptSet, work
from compread.prompts.sources import load_rows
from compread.prompts.tasks import Task
from compread.prompts.templates import render
from compread.prompts.tokens import TokenizedSet, tokenize
from compread.prompts.unconditional import with_unconditional

__all__ = [
    "AnswerIds",
    "Chat",
    "Nearest",
    "NewTask",
    "Prompt",
    "PromptSet",
    "Task",
    "TokenizedSet",
    "audit",
    "every_task",
    "is_lm_eval",
    "lm_eval_sets",
    "load_embedder",
    "load_rows",
    "load_task",
    "mistakes_in",
    "new_task",
    "preflight",
    "prompt_sets",
    "prompts_of_rows",
    "read_prompt_file",
    "refuse_choices",
    "render",
    "task_names",
    "tokenize",
    "with_unconditional",
    "work",
]
