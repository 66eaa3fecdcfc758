"""The manual: Markdown pages that ship with the package, so that a node without a network has them.

``pages`` finds and reads them.
"""

from compread.docs.pages import page_names, page_summary, page_text

__all__ = ["page_names", "page_summary", "page_text"]
