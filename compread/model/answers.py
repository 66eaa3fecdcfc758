"""One batch of answers of any length -> every component's contribution to their log-probability.

Answer y = t_1 … t_m behind a prompt: log p(y) = Σ_i (logit of t_i - log Z_i), each i read at the
position before its token. There the final residual is the sum of all writes, so with frozen norms

    g[j, y] = Σ_i (U_{t_i} - ū) · (γ ∘ z_j) / rms(x)        all at position i,

with ū the mean of the unembedding's rows: a component that lifts all tokens alike says nothing of
an answer, however many tokens it has. What is left is one number of the model as a whole, the
component ``normalizer`` = Σ_i (mean logit_i - log Z_i), and Σ_j g[j, y] = log p(y) exactly (before
a soft-cap, as for labels of one token).

Answers differ from row to row, so directions are folded for each batch: once for each distinct
token of it, a layer at a time, [T, H·E] for T tokens. Each token of an answer then costs one row of
that and a product with the heads at its position.

Behind the final norm, what a component writes at all positions together is one vector, and g[j, y]
its product with one direction of the answer's own: U_{t_i} - ū at each position i, a position being
the tokens that stand before it. Two answers share the positions up to their first token that
differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compread.array_types import Floats
from compread.components import NORMALIZER, Component, Kind
from compread.model.activations import Activations
from compread.model.anatomy import Layer, StreamTransform, Write, like
from compread.model.decompose import Decomposer, Fold
from compread.model.linear import bias_of, pull_back, unembedding_mean, unembedding_rows

# Reductions over the vocabulary may make their logits anew: 16 MiB of them in float32.
_LOGITS_AT_A_TIME = 2**22
_TOKENS_AT_A_TIME = 256

Answers = tuple[tuple[int, ...], ...]
"""The tokens of each answer of a row, no two of which are the same."""


@dataclass(frozen=True)
class AnswerTokens:
    """The tokens of A answers, P in all, in any order."""

    read: Tensor
    """[P] at which of the positions that are read the token is predicted."""
    token: Tensor
    """[P] its id."""
    answer: Tensor
    """[P] whose it is, 0 to A - 1."""
    count: int
    """A"""

    def total(self, values: Tensor) -> Tensor:
        """Each answer's sum of what its tokens have: [P, ...] -> [A, ...]."""
        sums = values.new_zeros(self.count, *values.shape[1:])
        return sums.index_add_(0, self.answer, values)


@dataclass(frozen=True)
class AnswerParts:
    """What ``AnswerDecomposer`` says of A answers, in the accumulation type."""

    parts: Tensor
    """[A, C] contributions to the answer's log-probability, before any soft-cap."""
    full: Tensor
    """[A] the answer's log-probability, as the model has it."""
    pre_cap: Tensor
    """[A] the same of the model's logits before its soft-cap, less the model's own log Z."""
    scale: Tensor
    """[A] the sum over its positions of the largest absolute pre-cap logit."""


class AnswerDecomposer:
    """A model's frozen linear maps, ready for the tokens of any answers."""

    def __init__(self, frozen: Decomposer) -> None:
        """Take the norms and the anatomy from a decomposer of any labels."""
        self._frozen, self._anatomy = frozen, frozen.anatomy
        self.components: tuple[Component, ...] = (*frozen.components, NORMALIZER)
        self._mean, self._mean_bias = unembedding_mean(
            self._anatomy.unembedding, self._anatomy.width
        )
        self._biases = [
            [
                bias_of(fold.write.projection, fold.write.width, frozen.directions)
                if fold.bias is not None
                else None
                for fold in folds
            ]
            for folds in frozen.folds
        ]

    def decompose(self, activations: Activations, answers: AnswerTokens) -> AnswerParts:
        """Turn what one forward showed at Q positions into the contributions of A answers."""
        tokens, index = torch.unique(answers.token, return_inverse=True)
        place = self._frozen.directions.device
        rows, constant = self._rows(tokens)
        walk = _Walk(
            self._frozen, activations, _Pairs(answers.read.to(place), index.to(place)), rows
        )
        columns = [
            column
            for layer, folds, biases in reversed(
                list(zip(self._anatomy.layers, self._frozen.folds, self._biases, strict=True))
            )
            for column in walk.back_through(layer, folds, biases)
        ]
        log_z, mean, largest = self._over_vocabulary(activations)
        picked = answers.read, answers.token
        factor = self._anatomy.logit_scale
        normalizer = (mean - log_z)[answers.read].to(place)
        bias = walk.bias + constant[walk.pairs.index]
        per_token = [walk.embedding(), *reversed(columns), bias[:, None], normalizer[:, None]]
        own = AnswerTokens(answers.read.to(place), answers.token, answers.answer.to(place),
                           answers.count)  # fmt: skip
        return AnswerParts(
            parts=own.total(torch.cat(per_token, 1)),
            full=own.total((activations.logits[picked] - log_z[answers.read]).to(place)),
            pre_cap=own.total(
                (activations.raw_logits[picked] * factor - log_z[answers.read]).to(place)
            ),
            scale=own.total(largest[answers.read].to(place)),
        )

    def grams(self, rows: Sequence[Answers], most: int) -> Floats:
        """The inner products of the directions of each row's answers, [N, K, K].

        With them gᵀ G⁺ g is the squared length of a component's write, behind the final norm, in
        the span of its row's answers. Columns beyond a row's answers are zero.

        Args:
            rows: the answers of N rows.
            most: K.
        """
        place = {answers: n for n, answers in enumerate(dict.fromkeys(rows))}
        grams = np.zeros((len(place), most, most))
        for some in _with_few_tokens(list(place)):
            tokens = sorted(_tokens_of(some))
            found, _ = unembedding_rows(
                self._anatomy.unembedding, self._anatomy.width, torch.tensor(tokens)
            )
            found = (found.cpu().double() - self._mean.cpu().double()) * self._anatomy.logit_scale
            directions = dict(zip(tokens, found.numpy(), strict=True))
            for answers in some:
                k = len(answers)
                grams[place[answers], :k, :k] = _gram(answers, directions)
        return grams[[place[answers] for answers in rows]]

    def _rows(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What reads the final residual for T tokens: [T, D], and the constant beside it [T]."""
        frozen, anatomy = self._frozen, self._anatomy
        rows, bias = unembedding_rows(anatomy.unembedding, anatomy.width, tokens)
        rows = (rows - self._mean).to(frozen.directions) * anatomy.logit_scale
        bias = (bias - self._mean_bias).to(rows) * anatomy.logit_scale
        return frozen.final_norm.pull_back(rows), rows @ frozen.final_norm.shift.to(rows) + bias

    def _over_vocabulary(self, activations: Activations) -> tuple[Tensor, Tensor, Tensor]:
        """Of each position [Q]: log Z, the mean pre-cap logit and the largest absolute one."""
        factor = self._anatomy.logit_scale
        size = max(1, _LOGITS_AT_A_TIME // activations.logits.shape[-1])
        log_z = [logits.logsumexp(-1) for logits in torch.split(activations.logits, size)]
        raw = [(x.mean(-1), x.aminmax(dim=-1)) for x in torch.split(activations.raw_logits, size)]
        means = torch.cat([mean for mean, _ in raw]) * factor
        largest = torch.cat([torch.maximum(x.max.abs(), x.min.abs()) for _, x in raw])
        return torch.cat(log_z), means, largest * abs(factor)


def _with_few_tokens(rows: Sequence[Answers]) -> Iterator[list[Answers]]:
    """The rows in blocks of ``_TOKENS_AT_A_TIME`` distinct tokens, or of one row that has more."""
    some: list[Answers] = []
    tokens: set[int] = set()
    for answers in rows:
        own = _tokens_of([answers])
        if some and len(tokens | own) > _TOKENS_AT_A_TIME:
            yield some
            some, tokens = [], set()
        some.append(answers)
        tokens |= own
    if some:
        yield some


def _tokens_of(rows: Sequence[Answers]) -> set[int]:
    return {token for answers in rows for answer in answers for token in answer}


def _gram(answers: Answers, directions: Mapping[int, Floats]) -> Floats:
    """[K, K] of one row, with the direction [D] of each token."""
    gram = np.zeros((len(answers), len(answers)))
    waiting = [(list(range(len(answers))), 0)]
    while waiting:  # the answers that stand at one position, which the same tokens lead to
        here, at = waiting.pop()
        if len(here) == 1:
            own = np.array([directions[token] for token in answers[here[0]][at:]])
            gram[here[0], here[0]] += (own**2).sum()
            continue
        asked = np.array([directions[answers[y][at]] for y in here])
        gram[np.ix_(here, here)] += asked @ asked.T
        goes_on: dict[int, list[int]] = {}
        for y in here:
            if len(answers[y]) > at + 1:
                goes_on.setdefault(answers[y][at], []).append(y)
        waiting += [(there, at + 1) for there in goes_on.values()]
    return gram


@dataclass(frozen=True)
class _Pairs:
    """P pairs of a position that is read and a token that is asked for there."""

    read: Tensor
    """[P] 0 to Q - 1"""
    index: Tensor
    """[P] the token's place among the T distinct ones."""

    def dot(self, x: Tensor, directions: Tensor, weight: Tensor) -> Tensor:
        """What N maps read of n components at each pair, each with its number: [P, n].

        Args:
            x: [Q, n, E].
            directions: [N·T, n, E] or [N·T, 1, E].
            weight: [Q, N], or [Q, n, N].
        """
        own = x.to(directions)[self.read]
        weight = (weight if weight.ndim == 3 else weight[:, None]).to(own)[self.read]
        by_map = directions.reshape(weight.shape[-1], -1, *directions.shape[1:])
        found = own.new_zeros(own.shape[:2])
        for n, one in enumerate(by_map):
            found += (own * one[self.index]).sum(-1) * weight[..., n]
        return found


class _Walk:
    """The directions of a batch's tokens on their way from the final norm to the embedding."""

    def __init__(
        self, frozen: Decomposer, activations: Activations, pairs: _Pairs, seen: Tensor
    ) -> None:
        """Begin behind the last layer, with directions [T, D] before the final norm."""
        self.pairs, self._frozen, self._activations = pairs, frozen, activations
        anatomy = frozen.anatomy
        maps = anatomy.join.maps if anatomy.join else (None,)
        self._directions = torch.cat(
            [seen if m is None else pull_back(m, anatomy.width, seen) for m in maps]
        )  # [N·T, D]
        self._scales = [scale.to(seen)[pairs.read] for scale in frozen.scales(activations)]  # [P]
        weights, self._first = frozen.write_coefficients(activations)
        self._weights = list(weights)
        self._met = 0
        self.bias = seen.new_zeros(len(pairs.read))
        """[P] what belongs to no component by now."""

    def back_through(
        self, layer: Layer, folds: list[Fold], biases: list[Tensor | None]
    ) -> Iterator[Tensor]:
        """A layer's columns [P, n], its last kind first; the directions are before it then."""
        own: dict[Kind, list[Tensor]] = {"head": [], "mixer": [], "mlp": []}
        left = list(zip(folds, biases, self._weights.pop(), strict=True))
        for step in reversed(layer.steps):
            if isinstance(step, Write):
                own[step.kind].append(self._column(*left.pop()))
            elif isinstance(step, StreamTransform):
                self._before(step)
        for kind in ("mlp", "mixer"):
            if own[kind]:  # what several modules write as one block is one component
                yield torch.stack(own[kind]).sum(0)
        yield from own["head"]

    def embedding(self) -> Tensor:
        """The embedding's column [P, 1]."""
        x = self._activations.embedding
        x = x if x.ndim == 3 else x[:, None]
        return self.pairs.dot(x, self._directions[:, None], self._first).sum(1, keepdim=True)

    def _column(self, fold: Fold, bias: Tensor | None, weight: Tensor) -> Tensor:
        write = fold.write
        after = self._directions * like(write.scale, self._directions)
        if write.kind != "head":
            written = self._activations.output_of(write.source)
            return self.pairs.dot(written[:, None], after[:, None], weight)
        before = after if fold.norm is None else fold.norm.pull_back(after)
        z = self._activations.input_of(write.reads)
        scale = self._post_scale(fold, z)  # [Q, 1]
        if bias is not None:
            self.bias += self._constant(before @ bias.to(before), weight * scale.to(weight))
        if fold.norm is not None:
            self.bias += self._constant(after @ fold.norm.shift.to(after), weight)
        heads = pull_back(write.projection, write.width, before)
        heads = heads.reshape(len(before), write.heads, -1)
        z = z.reshape(len(z), write.heads, -1)
        return self.pairs.dot(z, heads, weight * scale.to(weight))

    def _post_scale(self, fold: Fold, z: Tensor) -> Tensor:
        """[Q, 1] the factor that a block's post-norm applied; one where there is none."""
        norm = fold.write.norm
        if fold.norm is None or norm is None:
            return z.new_ones(len(z), 1)
        return fold.norm.scale(self._activations.input_of(norm), self._activations.output_of(norm))[
            :, None
        ]

    def _constant(self, value: Tensor, weight: Tensor) -> Tensor:
        """[P] what each token's direction says of a constant, [N·T], with weights [Q, N]."""
        one = weight.new_ones(len(weight), 1, 1)
        return self.pairs.dot(one, value[:, None, None], weight)[:, 0]

    def _before(self, transform: StreamTransform) -> None:
        """Bring the directions before a step that changes the stream as a whole."""
        after, shift = self._directions, transform.shift
        if transform.norm is None:
            self._directions = transform.scale_only(after)
        else:
            _, norm = self._frozen.stream_norms[self._met]
            self._directions, shift = norm.pull_back(after), norm.shift
        if shift is not None:
            said = after @ shift.detach().to(after)
            self.bias += said[self.pairs.index] * self._scales[self._met]
        self._met += transform.norm is not None
