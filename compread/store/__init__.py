"""The store: one run, one HDF5 file.

``schema`` what a store holds · ``axes`` its components, labels and rows · ``typed`` JSON out of a
file · ``layout`` the HDF5 format · ``journal`` the rows of an unfinished run, ``header`` whose,
``kept`` which they are · ``writer`` and ``reader``, with ``checks`` of a file's structure and
``guards`` of its bytes · ``differences`` of two runs · ``finished`` what stands at a target ·
``pooling`` from words to classes · ``paths`` the files a command line names · ``progress`` how far
an unfinished run has come · ``states`` which runs of a folder are finished.
"""

from compread.store.axes import Axes, SplitRows
from compread.store.finished import check_same_run, is_finished
from compread.store.parts import absorb_parts
from compread.store.paths import journal_path, part_journals, part_path, store_paths
from compread.store.pooling import DEFAULT_POOL, POOLS, Pooling
from compread.store.progress import PartialStatus, partial_status
from compread.store.reader import Store, open_store
from compread.store.schema import (
    ALL_SPLITS,
    CALIBRATION,
    FORMAT,
    FORMAT_VERSION,
    SPLITS,
    Labels,
    RunInfo,
    Split,
)
from compread.store.states import StoreState, store_state, store_states
from compread.store.target import check_target
from compread.store.writer import StoreWriter

__all__ = [
    "ALL_SPLITS",
    "CALIBRATION",
    "DEFAULT_POOL",
    "FORMAT",
    "FORMAT_VERSION",
    "POOLS",
    "SPLITS",
    "Axes",
    "Labels",
    "PartialStatus",
    "Pooling",
    "RunInfo",
    "Split",
    "SplitRows",
    "Store",
    "StoreState",
    "StoreWriter",
    "absorb_parts",
    "check_same_run",
    "check_target",
    "is_finished",
    "journal_path",
    "open_store",
    "part_journals",
    "part_path",
    "partial_status",
    "store_paths",
    "store_state",
    "store_states",
]
