"""What ``check`` found, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from compread.views.tables import Column, Table

if TYPE_CHECKING:
    from compread.check import Certificate

PROOFS = [
    Column("proof", justify="left"),
    Column("error", format=".1e"),
    Column("allowed", format=".0e"),
    Column("state", format=lambda row: "FAILS" if row["state"] == "fails" else row["state"]),
    Column("where", justify="left"),
]
CERTIFIED = [
    Column("model_type", "model type", justify="left"),
    Column("worst_error", "worst\nerror", format=".1e"),
    Column("layers", drop=2),
    Column("components", drop=1),
]
REASONS = [
    Column("model_type", "model type", justify="left"),
    Column("reason", justify="left"),
]
NOTE = (
    "Errors are relative to the size of what is compared. The twin has {components} components in "
    "{layers} layers, computed in float64."
)


def _shares(certificate: Certificate) -> bool | None:
    """Whether a prefix can be run once for many prompts; None where nothing was proved."""
    found = (proof.holds for proof in certificate.proofs if proof.name == "shared prefix = whole")
    return next(found, None)


def sweep_view(document: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """All types by verdict, the certified ones by whether rows can share a prefix."""

    def table(title: str, columns: list[Column], verdict: str, *shared: bool | None) -> Table:
        rows = [
            row
            for row in document["models"]
            if row["verdict"] == verdict and row["shared_prefix"] in shared
        ]
        return Table(columns, [rows], title=f"{title}: {len(rows)} model types")

    return [
        table("certified", CERTIFIED, "certified", True),
        table("certified, prompts are run whole", CERTIFIED, "certified", False, None),
        table("refused", REASONS, "refused", True, False, None),
        table("not applicable", REASONS, "not applicable", True, False, None),
    ]


def certificate_rows(certificates: Sequence[Certificate]) -> dict[str, list[dict[str, Any]]]:
    """One row a model type, and one row a proof of it."""
    models = [
        {
            "model_type": c.model_type,
            "verdict": c.verdict,
            "reason": c.reason,
            "worst_error": c.worst_error,
            "layers": c.layers,
            "components": c.components,
            "shared_prefix": _shares(c),
        }
        for c in certificates
    ]
    proofs = [
        {
            "model_type": c.model_type,
            "proof": proof.name,
            "error": proof.error,
            "allowed": proof.bound,
            "holds": proof.holds,
            "state": proof.state,
            "where": proof.where,
        }
        for c in certificates
        for proof in c.proofs
    ]
    return {"models": models, "proofs": proofs}


def certificate_view(document: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """The proofs of one model under its verdict."""
    model, proofs = document["models"][0], document["proofs"]
    verdict = f"{model['model_type']}: {model['verdict']}"
    if model["reason"]:
        verdict += f": {model['reason']}"
    if not proofs:
        return [Table([], [], title=verdict)]
    return [Table(PROOFS, [proofs], title=verdict, note=NOTE.format(**model))]
