"""What a user may choose from by name: each list once, its default beside it.

The command line makes its choices from these, and the rooms check against them, so that a new
pool or table is entered in one place. Only what would load NumPy or h5py beside its code is here,
as ``--help`` reads these lists; measures, plots and forms stand beside theirs
(``analysis.measures``, ``views.plots.kinds``, ``views.render``).
"""

from __future__ import annotations

SPLITS = ("train", "test")
"""The splits with labelled rows."""
DEFAULT_SPLIT = "test"
UNCONDITIONAL = "unconditional"
"""The split of answers behind a prompt that says nothing of a row; often without rows."""

POOLS = ("logsumexp", "max", "mean", "first")
"""How the label words of one class become one label (``compread.store.pooling``)."""
DEFAULT_POOL = "logsumexp"

NORMALIZATIONS = {
    "none": "",
    "tokens": "per token",
    "bytes": "per UTF-8 byte",
    "characters": "per character",
    "pmi": "less that behind the unconditional prompt",
}
"""What makes answers of different lengths alike (``compread.store.normalizing``), and what is then
said of their log-probabilities."""
DEFAULT_NORMALIZATION = "none"

WEIGHT = "weight"
"""What components can be ranked by where weights are given, beside the measures."""
ALL = "all"
"""All kinds of components, or all pairs."""

TABLES = ("runs", "summary", "layers", "transfer", "training", "pairs")
"""The lists of ``compread analyze``."""
NAMED_TABLES = ("layers", "pairs")
"""Those that are left out unless they are named."""
MOST_PAIRS = 500
"""Pairs of stores of a kind that are compared unless more are asked for."""
TOP_SET = 5
"""Size of the top set, as in the paper."""
CHANGED = 20
"""Components in the table of changes."""

ALPHA = 0.05
"""Largest corrected p-value that is significant: the false discoveries that are accepted."""
BIAS_SHARE = 1.0
"""Smallest share of rows with one and the same prediction that makes a component biased."""

DEFAULT_METHODS = ("full", "calib+", "bc", "comprw", "blend")
"""The methods of ``compread reweight`` where none is named."""

LABEL_SHARES = ("train", "balanced", "estimate")
"""What may be taken for the labels' shares among the rows to predict, beside numbers."""

ENSEMBLES = ("templates", "seeds", "both")
"""What the stores of an ensemble may differ in (``compread.reweight.ensemble``)."""
