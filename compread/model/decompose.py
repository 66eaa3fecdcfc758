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

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compread.components import Component, component_axis
from compread.model.anatomy import Anatomy, Layer, Write
from compread.model.linear import (
    accumulation_dtype,
    bias_of,
    device_of,
    dtype_of,
    pull_back,
    unembedding_rows,
)
from compread.model.norms import FrozenNorm, identity_norm, read_norm
from compread.model.taps import Sighting


@dataclass(frozen=True)
class BatchParts:
    """What ``decompose`` says of B prompts; on the CPU, in the accumulation type."""

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


@dataclass(frozen=True)
class WriteFold:
    """The labels seen from one block's write: before its post-norm where it has one."""

    write: Write
    norm: FrozenNorm | None
    directions: Tensor
    """[K, D] at the residual stream, the write's constant scale included."""

    def bring_in(self, sighting: Sighting) -> tuple[Tensor, Tensor]:
        """Each row's post-norm scale [B] and the constant that the post-norm adds [K]."""
        if self.norm is None or self.write.norm is None:
            one = self.directions.new_ones(len(sighting.answer))
            return one, self.directions.new_zeros(len(self.directions))
        scale = self.norm.scale(sighting.read(self.write.norm), sighting.wrote(self.write.norm))
        return scale, self.directions @ self.norm.shift


@dataclass(frozen=True)
class LayerFold:
    """F_l [K, H, E] of one layer, its projection's bias and its MLP, folded."""

    layer: Layer
    heads: Tensor
    """[K, H, E]"""
    projection_bias: Tensor
    """[K] the output projection's bias, seen before any post-norm's scale."""
    mixer: WriteFold
    mlp: WriteFold


class Decomposer:
    """The labels folded through a model, ready to read any batch's activations."""

    def __init__(self, anatomy: Anatomy, label_ids: tuple[int, ...]) -> None:
        """Fold K labels through the model's norms and output projections."""
        self.anatomy = anatomy
        self.label_ids = label_ids
        self.dtype = accumulation_dtype(dtype_of(anatomy.unembedding))
        self.components: tuple[Component, ...] = component_axis([x.shape for x in anatomy.layers])
        rows, bias = unembedding_rows(anatomy.unembedding, anatomy.width, torch.tensor(label_ids))
        rows, bias = rows.to(self.dtype), bias.to(self.dtype)
        self.final_norm = self._read(anatomy.final_norm, device_of(anatomy.unembedding))
        # Constant part of the logits: the unembedding's bias and the final norm's β.
        self.constant = (rows @ self.final_norm.shift.to(rows) + bias) * anatomy.logit_scale  # [K]
        self.directions = self.final_norm.pull_back(rows) * anatomy.logit_scale  # [K, D]
        self.layers = [self._fold(layer) for layer in anatomy.layers]

    def _read(self, norm: nn.Module | None, place: torch.device) -> FrozenNorm:
        if norm is None:
            return identity_norm(self.anatomy.width, self.dtype, place)
        return read_norm(norm, self.anatomy.width, self.dtype)

    def _fold_write(self, write: Write) -> WriteFold:
        norm = None if write.norm is None else self._read(write.norm, device_of(write.norm))
        place = device_of(write.source)
        return WriteFold(write, norm, (self.directions * write.scale).to(place))

    def _fold(self, layer: Layer) -> LayerFold:
        mixer = self._fold_write(layer.mixer)
        directions = mixer.directions
        if mixer.norm is not None:
            directions = mixer.norm.pull_back(directions)
        z_width = layer.heads * layer.head_width
        heads = pull_back(layer.projection, z_width, directions)
        return LayerFold(
            layer=layer,
            heads=heads.reshape(len(directions), layer.heads, layer.head_width),
            projection_bias=directions @ bias_of(layer.projection, z_width, directions),
            mixer=mixer,
            mlp=self._fold_write(layer.mlp),
        )

    def decompose(self, sighting: Sighting) -> BatchParts:
        """Turn one forward's sighting into contributions."""
        place = self.directions.device
        if self.anatomy.final_norm is None:
            scale = self.directions.new_ones(len(sighting.answer))
        else:
            scale = self.final_norm.scale(sighting.norm_input, sighting.norm_output)
        columns = [_project(sighting.embedding, self.directions)]  # each [B, ?, K]
        biases = []
        for fold in self.layers:
            heads, bias = self._heads(fold, sighting)
            mlp = _project(sighting.wrote(fold.mlp.write.source), fold.mlp.directions)
            columns += [heads, mlp]
            biases.append(bias.to(place))
        columns.append(torch.stack(biases).sum(0)[:, None])
        # One copy to the CPU a batch: a copy a layer would wait for the device each time.
        parts = torch.cat([c.to(place) for c in columns], 1) * scale.to(place)[:, None, None]
        parts[:, -1] += self.constant.to(place)
        return self._judge(parts.cpu(), sighting)  # [B, C, K]

    def _heads(self, fold: LayerFold, sighting: Sighting) -> tuple[Tensor, Tensor]:
        """One layer's heads [B, H, K] and its output projection's bias [B, K]."""
        z = sighting.read(fold.layer.projection).to(fold.heads.device)
        z = z.reshape(len(z), fold.layer.heads, fold.layer.head_width)  # [B, H, E]
        scale, shift = fold.mixer.bring_in(sighting)
        heads = torch.einsum("bhe,khe->bhk", z, fold.heads) * scale.reshape(-1, 1, 1)
        bias = fold.projection_bias * scale.reshape(-1, 1) + shift
        return heads, bias

    def _judge(self, parts: Tensor, sighting: Sighting) -> BatchParts:
        ids = torch.tensor(self.label_ids)
        raw = sighting.raw_logits * self.anatomy.logit_scale  # [B, V]
        # A vocabulary may hold tokens that are masked out with -inf.
        loudest = raw.masked_fill(~raw.isfinite(), 0).abs().amax(-1)
        mass = sighting.logits.softmax(-1)[:, ids.to(raw.device)].sum(-1)
        return BatchParts(
            parts=parts,
            full=sighting.logits[:, ids.to(raw.device)].cpu(),
            pre_cap=raw[:, ids.to(raw.device)].cpu(),
            scale=loudest.cpu(),
            label_mass=mass.cpu(),
        )


def _project(residual: Tensor, directions: Tensor) -> Tensor:
    """A write at the residual stream [B, D] as one component's column [B, 1, K]."""
    return (residual.to(directions.device) @ directions.T)[:, None]
