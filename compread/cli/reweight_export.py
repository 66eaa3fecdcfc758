"""``reweight --export-model``: the weights of the fits, multiplied into their model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compread.model import LoadedModel
    from compread.reweight.fit import Fit
    from compread.reweight.method import Method


def check(
    methods: Sequence[Method] | Sequence[Fit], folder: Path, force: bool, together: bool
) -> None:
    """Refuse before any fit what could not be exported after it.

    ``together`` is whether the fits are those of an ensemble.

    Raises:
        UsageError: no method has a weight for each component, or there is more than one prompt.
        TargetError: something else is at the target.
    """
    from compread.errors import UsageError
    from compread.output_files import check_made_folder

    if together:
        raise UsageError(
            "--export-model makes one model of one prompt's weights, and an ensemble averages the "
            "scores of several prompts: fit without --ensemble, and export that"
        )
    if not any(method.fitted.axes.get("weights") == "C" for method in methods):
        raise UsageError(
            "--export-model saves weights of components, which none of these methods has: "
            f"{', '.join(dict.fromkeys(method.title for method in methods))}; take blend or comprw"
        )
    check_made_folder(folder, force)


def export(fits: Sequence[Fit], folder: Path, model: str | None) -> None:
    """Save the model of the fits with the mean of a method's weights (``model_weights``).

    ``model`` is where it is now, if not where the stores say.
    """
    from compread.cli.output import note
    from compread.cli.progress import hide_foreign_bars
    from compread.reweight.apply import check_model
    from compread.reweight.select import model_weights

    found = model_weights(fits)
    fit = next(fit for fit in fits if fit.title == found.title)
    run = fit.run
    hide_foreign_bars()
    from compread.model import ModelRequest, quieten_libraries
    from compread.model.export import Origin, export_model

    quieten_libraries(bars=False)
    name = model or run.model
    request = ModelRequest(name, run.revision, run.dtype, "cpu", adapter=run.adapter)

    def check(loaded: LoadedModel) -> None:
        check_model(fit, loaded.fingerprint, f"{name} is in {loaded.dtype}")

    origin = Origin(run.model, run.fingerprint, found.title, found.n_train, found.fits)
    export_model(request, found.by_component(), origin, folder, check)
    note(
        f"model: {found.title} of {found.n_train} train rows in {folder}; its layers read one "
        "another's changed outputs, so its accuracy is not that of the weighted sum"
    )
