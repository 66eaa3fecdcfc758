"""PromptS: each row's demonstrations are its most similar labelled examples (paper, section 5.2).

The paper takes the K' examples of greatest cosine similarity between sentence embeddings. It does
not say in which order they stand; here the most similar comes last, next to the row itself. A train
row chooses among the other labelled examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compread.errors import PromptError, option
from compread.text import one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.floating[Any]]
    Embedder = Callable[[Sequence[str]], Vectors]
    """Texts -> vectors, one row each."""


@dataclass
class Nearest:
    """An embedder with a memory of what it has embedded."""

    name: str
    """The embedding model, for the record."""
    embed: Embedder
    _known: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def order(self, query: str, candidates: Sequence[str], n: int) -> list[int]:
        """Places of the ``n`` candidates most similar to a text, the most similar last.

        Of two equally similar candidates, the one that stands before counts as the more similar.

        Raises:
            PromptError: the embedder gives vectors of another number, or without a direction.
        """
        self.learn([query, *candidates])
        similar = [float(self._known[text] @ self._known[query]) for text in candidates]
        best = sorted(range(len(candidates)), key=lambda place: (-similar[place], place))[:n]
        return best[::-1]

    def learn(self, texts: Sequence[str]) -> None:
        """Embed texts together, which is faster than one by one.

        Raises:
            PromptError: as ``order`` does.
        """
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if not new:
            return
        vectors = np.asarray(self.embed(new), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(new):
            raise PromptError(
                f"embedder {self.name!r} gave an array of shape {vectors.shape} for {len(new)} "
                "texts; expected one vector for each"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or not lengths.all():
            raise PromptError(
                f"embedder {self.name!r} gave a vector that is zero or not finite: use another"
            )
        # Rounded, so that another machine's last digits do not choose other demonstrations.
        self._known |= dict(zip(new, np.round(vectors / lengths, 6), strict=True))


def load_embedder(name: str, offline: bool = False) -> Nearest:
    """A sentence-transformers model: a hub id or a folder.

    Raises:
        PromptError: the extra is not installed, there is no such model, or it brings code.
    """
    _refuse_code(name)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise PromptError(
            f"{option('embedder')} needs sentence-transformers: pip install 'compread[embed]'"
        ) from error
    try:
        model = SentenceTransformer(name, local_files_only=offline, trust_remote_code=False)
    except Exception as error:  # whatever the hub, the files or torch raise
        first = one_line(error)
        raise PromptError(
            f"cannot load the embedder {name!r} ({first}); give a sentence-transformers hub id, "
            "such as sentence-transformers/all-mpnet-base-v2, or a folder"
        ) from error

    def embed(texts: Sequence[str]) -> Vectors:
        found: Vectors = model.encode(
            list(texts), convert_to_numpy=True, show_progress_bar=False, batch_size=32
        )
        return found

    return Nearest(name, embed)


def _refuse_code(name: str) -> None:
    """Refuse a folder whose modules are code of its own.

    Of a local folder sentence-transformers runs it, trusted or not.
    """
    listed = Path(name).expanduser() / "modules.json"
    try:
        modules = json.loads(listed.read_text(encoding="utf-8"))
        kinds = [str(module["type"]) for module in modules]
    except (OSError, ValueError, TypeError, KeyError):
        return  # a hub id, or what the library itself will complain of
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise PromptError(
                f"the embedder {name!r} brings code of its own ({kind!r}), which is never run; "
                "take one whose modules are sentence-transformers' own"
            )
