"""One batch of prompts -> every component's contribution to the label logits.

At the answer position the final residual is x = Σ_j z_j over the embedding, every head, every MLP
and the biases (paper equations 2 and 4). With each norm's scale frozen at the value it really
took, x -> label logits is linear, so logit_y = Σ_j g[j, y] exactly (equation 8, there for
RMSNorm). The labels are folded through the norms and the output projections once:

    F_l = W_Oᵀ (γ_post ∘ (γ ∘ U_labels))          [K, H·E] per layer
    g[head h of layer l, y] = s · s_post · ⟨F_l[y, h], z_h⟩

so that a head costs E products a label and no [.., H, D] tensor is ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from compread.components import Component, Kind, component_axis
from compread.model.activations import Activations
from compread.model.anatomy import Anatomy, Layer, Mix, StreamTransform, Write, like
from compread.model.linear import (
    accumulation_dtype,
    bias_of,
    device_of,
    dtype_of,
    pull_back,
    unembedding_rows,
)
from compread.model.norms import FrozenNorm, identity_norm, read_norm
from compread.model.streams import coefficients_of_writes

# A GPU takes longer to be told of a small reduction than to do it.
_LOGITS_AT_A_TIME, _LOGITS_AT_A_TIME_ON_CPU = 2**24, 2**20


@dataclass(frozen=True)
class BatchParts:
    """What ``decompose`` says of B prompts, in the accumulation type."""

    parts: Tensor
    """[B, C, K] contributions to the label logits before any soft-cap."""
    full: Tensor
    """[B, K] the label logits that the model returned."""
    pre_cap: Tensor
    """[B, K] the model's own label logits before its soft-cap."""
    scale: Tensor
    """[B] the largest absolute pre-cap logit of the row over the whole vocabulary."""
    label_mass: Tensor
    """[B] probability of the label tokens under the model's full softmax."""

    @property
    def sum_error(self) -> Tensor:
        """[B] largest |Σ parts - pre-cap logit| of the row, in logits."""
        return (self.parts.sum(1) - self.pre_cap).abs().amax(-1)

    def rows(self, chosen: Tensor) -> BatchParts:
        """Those of some prompts alone, chosen by a mask [B] or by their places."""
        return BatchParts(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True)
class Fold:
    """The labels seen from one write: at the residual stream, and from each head."""

    write: Write
    directions: Tensor
    """[K, D] at the residual stream, the write's constant scale included."""
    norms_after: int = 0
    """How many norms the stream itself meets between this write and the final norm."""
    norm: FrozenNorm | None = None
    """The post-norm of a block split by head; other writes are read after theirs."""
    heads: Tensor | None = None
    """F_l [K, H, E]"""
    bias: Tensor | None = None
    """[K] the output projection's bias, before the post-norm's scale."""

    def columns(self, activations: Activations) -> Tensor:
        """The contributions of this write's components [B, n, K], before the final scale."""
        if self.heads is None:
            return _project(activations.output_of(self.write.source), self.directions)
        _, count, width = self.heads.shape
        z = activations.input_of(self.write.reads).to(self.heads.device).reshape(-1, count, width)
        heads = torch.einsum("bhe,khe->bhk", z, self.heads)
        scale = self._scale(activations)
        return heads if scale is None else heads * scale[:, None, None]

    def constant(self, activations: Activations) -> Tensor | None:
        """[B, K] what belongs to no head: the projection's bias and the post-norm's shift."""
        if self.bias is None:
            return None
        scale = self._scale(activations)
        if self.norm is None or scale is None:
            return self.bias.expand(len(activations.answer), -1)
        return self.bias * scale[:, None] + self.directions @ self.norm.shift

    def _scale(self, activations: Activations) -> Tensor | None:
        """[B] the factor that the post-norm applied, where there is one."""
        if self.norm is None or self.write.norm is None:
            return None
        return self.norm.scale(
            activations.input_of(self.write.norm), activations.output_of(self.write.norm)
        )


class Decomposer:
    """The labels folded through a model, ready to read any batch's activations."""

    def __init__(self, anatomy: Anatomy, label_ids: tuple[int, ...]) -> None:
        """Fold K labels through the model's norms and output projections."""
        self.anatomy = anatomy
        self.label_ids = label_ids
        self._index: dict[torch.device, Tensor] = {}
        self.dtype = accumulation_dtype(dtype_of(anatomy.unembedding))
        self.components: tuple[Component, ...] = component_axis([x.shape for x in anatomy.layers])
        rows, bias = unembedding_rows(anatomy.unembedding, anatomy.width, torch.tensor(label_ids))
        rows, bias = rows.to(self.dtype), bias.to(self.dtype)
        scaled = rows.cpu().double() * anatomy.logit_scale  # some devices have no float64
        self.label_gram = scaled @ scaled.T  # [K, K]
        self.final_norm = self._read(anatomy.final_norm, device_of(anatomy.unembedding))
        # Constant part of the logits: the unembedding's bias and the final norm's β.
        self.constant = (rows @ self.final_norm.shift.to(rows) + bias) * anatomy.logit_scale  # [K]
        seen = self.final_norm.pull_back(rows) * anatomy.logit_scale
        maps = anatomy.join.maps if anatomy.join else (None,)
        # [K, D], or [N·K, D] where several maps lead from the streams to the final norm.
        self.directions = torch.cat(
            [seen if m is None else pull_back(m, anatomy.width, seen) for m in maps]
        )
        self.stream_norms: list[tuple[nn.Module, FrozenNorm]] = []
        """The norms that the stream itself meets, the last one first."""
        self.shifts: list[tuple[Tensor, int]] = []
        """What transforms of the stream add to the logits [K], and how many norms come after."""
        self.embed_directions = self.directions
        self.folds = [self._walk(layer) for layer in reversed(anatomy.layers)][::-1]

    def _walk(self, layer: Layer) -> list[Fold]:
        """Fold a layer's writes, its last step first, and bring the directions before it."""
        folds = []
        for step in reversed(layer.steps):
            if isinstance(step, Write):
                folds.append(self._fold(step, self.embed_directions))
            elif not isinstance(step, Mix):
                self.embed_directions = self._before(step, self.embed_directions)
        return folds[::-1]

    def _before(self, transform: StreamTransform, after: Tensor) -> Tensor:
        """Directions behind a transform of the stream, seen from before it."""
        if transform.norm is None:
            if transform.shift is not None:
                self.shifts.append(
                    (after @ transform.shift.detach().to(after), len(self.stream_norms))
                )
            return transform.scale_only(after)
        norm = self._read(transform.norm, device_of(transform.norm))
        self.shifts.append((after @ norm.shift.to(after), len(self.stream_norms)))
        self.stream_norms.append((transform.norm, norm))
        return norm.pull_back(after)

    def _read(self, norm: nn.Module | None, place: torch.device) -> FrozenNorm:
        if norm is None:
            return identity_norm(self.anatomy.width, self.dtype, place)
        return read_norm(norm, self.anatomy.width, self.dtype)

    def _fold(self, write: Write, after: Tensor) -> Fold:
        directions = (after * like(write.scale, after)).to(device_of(write.source))
        if write.kind != "head":
            return Fold(write, directions, len(self.stream_norms))
        norm = None
        before = directions
        if write.norm is not None:
            norm = self._read(write.norm, device_of(write.norm))
            before = norm.pull_back(directions)
        heads = pull_back(write.projection, write.width, before)
        bias = before @ bias_of(write.projection, write.width, before)
        return Fold(
            write=write,
            directions=directions,
            norms_after=len(self.stream_norms),
            norm=norm,
            heads=heads.reshape(len(before), write.heads, -1),
            # On a GPU each sum of zeros is a handful of launches a layer and batch.
            bias=bias if norm is not None or bool(bias.any()) else None,
        )

    def decompose(self, activations: Activations) -> BatchParts:
        """Turn one forward's activations into contributions."""
        place = self.directions.device
        scales = [scale.to(place)[:, None] for scale in self.scales(activations)]  # [B, 1]
        weights, first = self.write_coefficients(activations)
        embed = _project(activations.embedding, self.embed_directions)
        columns = [self.apply_coefficients(embed, first).sum(1, keepdim=True)]
        bias = torch.zeros_like(columns[0])  # [B, 1, K], as each of the others is [B, ?, K]
        for folds, by_write in zip(self.folds, weights, strict=True):
            own: dict[Kind, list[Tensor]] = {"head": [], "mixer": [], "mlp": []}
            for fold, weight in zip(folds, by_write, strict=True):
                column = fold.columns(activations).to(place)
                own[fold.write.kind].append(self.apply_coefficients(column, weight))
                if (constant := fold.constant(activations)) is not None:
                    bias += self.apply_coefficients(constant.to(place)[:, None], weight)
            columns += own["head"]
            # What several modules write as one block is one component.
            columns += [sum(own[k][1:], own[k][0]) for k in ("mixer", "mlp") if own[k]]
        bias += sum(shift * scales[after][..., None] for shift, after in self.shifts)
        parts = torch.cat([*columns, bias + self.constant.to(place)], 1)  # [B, C, K]
        return self._with_logits(parts, activations)

    def apply_coefficients(self, columns: Tensor, weight: Tensor) -> Tensor:
        """What N maps read, [B, n, N·K], summed with each one's [B, N] or [B, n, N]: [B, n, K]."""
        weight = weight if weight.ndim == 3 else weight[:, None]
        if columns.shape[-1] == len(self.label_ids):
            return columns * weight.to(columns)
        by_map = columns.reshape(*columns.shape[:2], -1, len(self.label_ids))
        summed: Tensor = (by_map * weight[..., None].to(by_map)).sum(2)
        return summed

    def write_coefficients(self, activations: Activations) -> tuple[list[list[Tensor]], Tensor]:
        """Numbers of each write [B, N] by layer, and of the first streams [B, N] or [B, M, N]."""
        scales = [scale[:, None] for scale in self.scales(activations)]
        if self.anatomy.join is None:
            return [[scales[fold.norms_after] for fold in folds] for folds in self.folds], scales[
                -1
            ]
        found, first = coefficients_of_writes(self.anatomy, activations)
        scaled = [[weight * scales[0] for weight in own] for own in found]
        return scaled, first * scales[0][..., None]

    def scales(self, activations: Activations) -> list[Tensor]:
        """[B] the factor that all norms after a write apply, by how many meet the stream itself."""
        x, y = activations.norm_input, activations.norm_output
        scales = [self.final_norm.scale(x, y) if self.anatomy.final_norm else x.new_ones(len(x))]
        for module, norm in self.stream_norms:
            own = norm.scale(activations.input_of(module), activations.output_of(module))
            scales.append(scales[-1] * own.to(scales[-1]))
        return scales

    def _columns(self, logits: Tensor) -> Tensor:
        """The labels' columns: [B, V] -> [B, K]."""
        # Not made anew for each batch: to copy it there, a GPU would first finish all it has to do.
        if logits.device not in self._index:
            self._index[logits.device] = torch.tensor(self.label_ids, device=logits.device)
        return logits[:, self._index[logits.device]]

    def _with_logits(self, parts: Tensor, activations: Activations) -> BatchParts:
        place, factor = parts.device, self.anatomy.logit_scale
        raw, logits = activations.raw_logits, activations.logits
        full, pre_cap = self._columns(logits), self._columns(raw) * factor
        whole = _over_vocabulary(logits, lambda x: x.logsumexp(-1))
        return BatchParts(
            parts=parts,
            full=full.to(place),
            pre_cap=pre_cap.to(place),
            # A vocabulary may hold tokens that are masked out with -inf.
            scale=_over_vocabulary(
                raw, lambda x: x.masked_fill(~x.isfinite(), 0).abs().amax(-1) * abs(factor)
            ).to(place),
            label_mass=(full - whole[:, None]).exp().sum(-1).to(place),
        )


def _over_vocabulary(logits: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """[B, V] -> [B] a few rows at a time, since a reduction may make all logits anew."""
    on_cpu = logits.device.type == "cpu"
    rows = max(1, (_LOGITS_AT_A_TIME_ON_CPU if on_cpu else _LOGITS_AT_A_TIME) // logits.shape[-1])
    return torch.cat([reduce(some) for some in torch.split(logits, rows)])


def _project(residual: Tensor, directions: Tensor) -> Tensor:
    """A write at the residual stream [B, D] as one component's column [B, 1, K]."""
    return (residual if residual.ndim == 3 else residual[:, None]).to(directions) @ directions.T
