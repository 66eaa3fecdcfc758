"""What a ``.gguf`` file says of itself, where transformers goes its own way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any


@contextmanager
def parsed_once(name: str) -> Iterator[None]:
    """Have a model's file, if it is a ``.gguf`` one, parsed once in the block.

    transformers opens it for the config, for the tokenizer and for the weights, and each time
    parses the vocabulary token by token, which takes seconds.
    """
    if not name.endswith(".gguf"):
        yield
        return
    try:
        import gguf
    except ImportError:  # transformers says so, and what to do
        yield
        return
    library: Any = gguf
    parse = library.GGUFReader
    kept = lru_cache(maxsize=1)(parse)
    library.GGUFReader = lambda path, *mode: kept(os.fspath(path), *mode)
    try:
        yield
    finally:
        library.GGUFReader = parse


def unpacked() -> dict[str, Any]:
    """Options under which a ``.gguf`` file's weights are unpacked on every machine alike.

    Newer versions of transformers leave them packed where fast kernels are installed, and the
    numbers would depend on that.
    """
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


def begin_as_stated(tokenizer: Any, file: Path) -> None:
    """Put the beginning-of-text token in front of every text if the file says so, else nothing.

    Older versions of transformers put it there whatever the file says, and every number of a model
    that was trained without it would be another one. A file that says nothing changes nothing.
    """
    from gguf import GGUFReader
    from tokenizers.processors import TemplateProcessing

    field = GGUFReader(file).get_field("tokenizer.ggml.add_bos_token")
    if field is None or tokenizer.bos_token_id is None:
        return
    stated = bool(field.parts[field.data[0]][0])
    begins = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    if stated == begins:
        return
    token = [tokenizer.bos_token] if stated else []
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*token, "$A"], special_tokens=[(name, tokenizer.bos_token_id) for name in token]
    )
