"""compread reads a decoder language model part by part."""

__version__ = "0.1.0"
