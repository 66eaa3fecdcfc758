"""Whether what was computed may be kept: proofs on the real weights, then the sum of every row.

A row's error is the largest |Σ parts - pre-cap logit| over the labels. It is compared with the
logits' scale: the row's largest absolute pre-cap logit over the whole vocabulary, which no
accident of two label logits near zero can shrink.

- float32 (and float64): 1e-4 of the scale. Rounding stays near 1e-6; a forgotten term does not.
- bfloat16 and float16: the model rounds the residual stream after every block, so its own sum
  of 2L + 1 writes drifts by about sqrt(2L) roundings. The tolerance is 2·eps·sqrt(2L) of the
  scale, with eps 2⁻⁸ and 2⁻¹¹.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from compread.errors import ModelError, SumError, option
from compread.extract.engine import Engine
from compread.extract.memory import must_fit
from compread.extract.row_wise import RowDependence, row_dependence
from compread.extract.sharing import Ids, ReferenceRun, longest_and_shortest
from compread.extract.structure import prove_structure
from compread.model.decompose import BatchParts
from compread.model.finite import finite_rows, why_not_finite
from compread.model.load.loading import LoadedModel
from compread.prompts import TokenizedSet

_FLOAT32 = 1e-4
_HALF_ROUNDINGS = 2


class SumCheck:
    """Holds a loaded model's numbers to the tolerance of its type."""

    def __init__(self, loaded: LoadedModel, layers: int) -> None:
        """Set the tolerance for a model of so many layers."""
        self.tolerance = sum_tolerance(loaded.rounding, layers)
        """Largest error allowed, as a share of the logits' scale."""
        self.row_wise = False
        """Whether each row must be run alone, since the model's numbers depend on its batch."""
        self.warnings: tuple[str, ...] = ()
        """What the user must know of it."""
        self._loaded = loaded
        self._proved: set[tuple[int, ...]] = set()

    def prove(self, engine: Engine, tokens: TokenizedSet) -> list[ReferenceRun]:
        """Prove on the real weights what ``check`` proves on a twin; once for each set of labels.

        Rows add up also where two heads are mixed up; here each block and head is compared with
        what the model writes, on the longest and the shortest prompt, which are also run alone.
        Where the model computes long prompts otherwise than short ones, each kind has its two.
        The batches are returned, for other proofs on the same; none where nothing was left to
        prove.

        Raises:
            ModelError: a row's numbers are not finite.
            SumError: a proof fails.
            ResumableError: two rows do not fit into the device's memory.
        """
        if tokens.label_ids in self._proved:
            return []
        seen: list[ReferenceRun] = []

        def prove(rows: list[Ids]) -> BatchParts:
            seen.append(ReferenceRun(rows, self._prove(engine, tokens, rows)))
            return seen[-1].parts

        rows = _ends(engine, tokens.ids)
        with must_fit(f"two rows of up to {max(map(len, rows))} tokens"):
            self._set_row_wise(row_dependence(engine, rows, prove))
        self._proved.add(tokens.label_ids)
        return seen

    def _prove(self, engine: Engine, tokens: TokenizedSet, rows: list[Ids]) -> BatchParts:
        """Prove that a batch is read rightly."""
        activations = engine.record(rows, all_writes=True)
        whole = engine.decomposer.decompose(activations)
        self._check_finite(engine, tokens, rows, whole)
        for proof in prove_structure(engine, activations, whole, self.tolerance):
            if not proof.holds:
                at = f" at {proof.where}" if proof.where else ""
                raise SumError(
                    f"{proof.name} fails{at}: off by {proof.error:.1e}, at most {proof.bound:.1e} "
                    f"allowed in {self._loaded.dtype}, so the parts would not add up to what the "
                    f"model does; {self._next_step}"
                )
        return whole

    def _set_row_wise(self, dependence: RowDependence) -> None:
        """Run rows alone where a batch changes them; give up where earlier rows do."""
        if not dependence.after_others <= self.tolerance:
            raise SumError(
                f"a row's parts change by {dependence.after_others:.1e} of the logits' scale with "
                f"what was run before it, at most {self.tolerance:.1e} allowed in "
                f"{self._loaded.dtype}, so no number would be the row's own; {self._next_step}"
            )
        if not dependence.in_batch <= self.tolerance:
            self.row_wise = True
            self.warnings = (
                f"a row of {dependence.where} has other parts in a batch than alone (off by "
                f"{dependence.in_batch:.1e} of the logits' scale, at most {self.tolerance:.1e} "
                "expected); each row is run alone",
            )

    def _check_finite(
        self, engine: Engine, tokens: TokenizedSet, rows: Sequence[Sequence[int]], whole: BatchParts
    ) -> None:
        for row, fine in zip(rows, finite_rows(whole).tolist(), strict=True):
            if not fine:
                named = dict(zip(map(tuple, tokens.ids), tokens.names, strict=False))
                name = named.get(tuple(row))
                row_said = f"row {name!r}" if name is not None else f"a row of {len(row)} tokens"
                raise ModelError(f"{row_said}: {why_not_finite(engine.model, row)}")

    def __call__(self, batch: BatchParts, ids: Sequence[str]) -> float:
        """The batch's worst error as a share of the logits' scale.

        Raises:
            SumError: a row's is beyond the tolerance.
        """
        errors = batch.sum_error / batch.scale
        # A NaN must fail too, so the comparison is for what is good.
        bad = ~(errors <= self.tolerance)
        if bad.any():
            row = int(bad.to(torch.uint8).argmax())
            raise SumError(
                f"the parts of row {ids[row]} add up to {float(batch.sum_error[row]):.3g} logits "
                f"away from the model's own ({float(errors[row]):.1e} of the logits' scale, at "
                f"most {self.tolerance:.1e} allowed in {self._loaded.dtype}); {self._next_step}"
            )
        return float(errors.max())

    @property
    def _next_step(self) -> str:
        name = self._loaded.request.name
        return (
            f"nothing was written: run `compread check {name}`, or try {option('dtype', 'float32')}"
        )


def _ends(engine: Engine, ids: Sequence[Ids]) -> list[Ids]:
    """The longest and the shortest of all prompts, and the other end of the stretch of each."""
    stretches = engine.switches.stretches(list(map(len, ids)))
    ends = stretches if len(stretches) < 2 else [stretches[0], stretches[-1]]
    return [row for rows in ends for row in longest_and_shortest([ids[n] for n in rows])]


def sum_tolerance(dtype: torch.dtype, n_layers: int) -> float:
    """Largest sum error allowed, as a share of the logits' scale."""
    if dtype in (torch.float32, torch.float64):
        return _FLOAT32
    eps = torch.finfo(dtype).eps / 2
    return float(_HALF_ROUNDINGS * eps * (2 * n_layers) ** 0.5)
