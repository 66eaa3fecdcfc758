"""The room's surface, and what importing it costs."""

import subprocess
import sys

import compread.prompts


def test_exports() -> None:
    """Every exported name is there, and the list is sorted."""
    names = compread.prompts.__all__
    assert names == sorted(names)
    assert all(hasattr(compread.prompts, name) for name in names)


def test_import_is_light() -> None:
    """Importing the room loads none of the heavy packages."""
    heavy = {"datasets", "jinja2", "yaml", "torch", "transformers", "numpy"}
    code = f"import sys, compread.prompts; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
