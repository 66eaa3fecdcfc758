"""``python -m compread`` is the ``compread`` command."""

import sys

from compread.cli import main

if __name__ == "__main__":
    sys.exit(main())
