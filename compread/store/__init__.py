"""The store: one run, one HDF5 file.

``schema`` what a store holds · ``axes`` its components, labels and rows · ``answers`` what a row
has of its own · ``typed`` JSON out of a file · ``layout`` the HDF5 format · ``journal`` the rows of
an unfinished run, ``kept`` whose and which they are · ``writer`` and ``reader``, with ``checks`` of
a file's structure and ``guards`` of its bytes · ``target`` the place a store is written to,
``finished`` what stands there · ``rank_journals`` what several processes kept · ``pooling`` from
words to classes · ``paths`` the files a command line names · ``progress`` how far an unfinished run
has come · ``run_list`` what a folder was asked for · ``states`` which runs of it are finished ·
``gather`` which of them stand in one mean.
"""

from compread.store.answers import NO_TOKEN, POSITIONS, RowAnswers
from compread.store.axes import Axes, SplitRows
from compread.store.finished import check_same_run, is_finished
from compread.store.gather import gather
from compread.store.paths import (
    in_model_folder,
    journal_path,
    part_journals,
    part_path,
    store_paths,
)
from compread.store.pooling import Pooling
from compread.store.progress import partial_status
from compread.store.rank_journals import merge_rank_journals
from compread.store.reader import Store, open_store
from compread.store.run_list import Asked, RunList
from compread.store.schema import ALL_SPLITS, Labels, RunInfo, Split
from compread.store.states import store_states
from compread.store.target import check_store_target
from compread.store.writer import StoreWriter

__all__ = [
    "ALL_SPLITS",
    "NO_TOKEN",
    "POSITIONS",
    "Asked",
    "Axes",
    "Labels",
    "Pooling",
    "RowAnswers",
    "RunInfo",
    "RunList",
    "Split",
    "SplitRows",
    "Store",
    "StoreWriter",
    "check_same_run",
    "check_store_target",
    "gather",
    "in_model_folder",
    "is_finished",
    "journal_path",
    "merge_rank_journals",
    "open_store",
    "part_journals",
    "part_path",
    "partial_status",
    "store_paths",
    "store_states",
]
