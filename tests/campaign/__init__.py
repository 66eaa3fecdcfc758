"""Attacks on compread, tried by the thousand: kills, damage, hostile input, bad disks.

A program and no part of the suite, which runs a handful of cases of each kind
(``test_campaign.py``)::

    python -m tests.campaign --minutes 10
    python -m tests.campaign --only damage --seed 0 --case 1234

Every module beside this one but ``case``, ``runner`` and ``__main__`` is one kind of attack. A case
follows from the kind, the seed and its number alone, so that a fault can be had again.
"""

import sys
from pathlib import Path

# The models, stores and prompt files that the tests make.
sys.path.insert(0, str(Path(__file__).parents[1]))
