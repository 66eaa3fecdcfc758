"""One prompt's contributions computed by hand, in float64 and with nothing of the package.

A head's write is what the output projection returns when all of its input but this head is zero,
less its bias. Each write goes through the norms with the statistics of the true activations,
written out here, and is then multiplied with the unembedding's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from loud import Family
from torch import Tensor, nn


def parts_by_hand(
    model: Any, family: Family, prompt: Sequence[int], labels: Sequence[int]
) -> dict[str, Tensor]:
    """Each component's contribution [K] by name, and under ``"logits"`` the model's own [K]."""
    labels = list(labels)
    seen: dict[Any, Tensor] = {}

    def listen(module: nn.Module, path: str) -> Any:
        def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            seen[module, "in"] = hidden[0, -1].clone()
            seen[module, "out"] = (output[0] if isinstance(output, tuple) else output)[0, -1]
            seen[module, "out"] = seen[module, "out"].clone()

        return module.get_submodule(path).register_forward_hook(keep, with_kwargs=True)

    layers = list(model.get_submodule(family.layers))
    paths = [p for p in (family.projection, family.mlp, family.post_mixer, family.post_mlp) if p]
    hooks = [listen(layer, path) for layer in layers for path in (*paths, "")]
    hooks.append(listen(model, family.norm))
    with torch.no_grad():
        logits = model(torch.tensor([prompt], device=model.device)).logits[0, -1, labels]
    for hook in hooks:
        hook.remove()

    config = model.config
    final = model.get_submodule(family.norm)
    head = model.get_output_embeddings()
    rows = head.weight[labels] * family.logit  # [K, D]

    def frozen(norm: nn.Module, z: Tensor) -> Tensor:
        """The norm without its shift on z, at the scale of what it really read."""
        x = seen[norm, "in"]
        if family.centred:
            x, z = x - x.mean(), z - z.mean()
        gain = norm.weight + 1 if family.one_plus else norm.weight
        return gain * z / (x.square().mean() + family.eps(config)).sqrt()

    def to_logits(z: Tensor) -> Tensor:
        return rows @ frozen(final, z)

    def shift(norm: nn.Module) -> Tensor:
        bias = getattr(norm, "bias", None)
        return torch.zeros_like(norm.weight) if bias is None else bias

    parts = {"embed": to_logits(seen[layers[0], "in"]), "logits": logits}
    bias = rows @ shift(final)
    if head.bias is not None:
        bias = bias + head.bias[labels] * family.logit
    for n, layer in enumerate(layers):
        projection = layer.get_submodule(family.projection)
        post = layer.get_submodule(family.post_mixer) if family.post_mixer else None

        def after_post(z: Tensor, post: nn.Module | None = post) -> Tensor:
            return (z if post is None else frozen(post, z)) * family.residual

        z = seen[projection, "in"]
        nothing = projection(torch.zeros_like(z)[None])[0]
        for h in range(family.heads):
            width = len(z) // family.heads
            alone = torch.zeros_like(z)
            alone[h * width : (h + 1) * width] = z[h * width : (h + 1) * width]
            write = projection(alone[None])[0] - nothing
            parts[f"L{n}H{h}"] = to_logits(after_post(write))
        bias = bias + to_logits(after_post(nothing))
        if post is not None:
            bias = bias + to_logits(shift(post) * family.residual)
        wrote = seen[layer.get_submodule(family.post_mlp or family.mlp), "out"]
        parts[f"L{n}MLP"] = to_logits(wrote * family.residual)
    return {**parts, "bias": bias}
