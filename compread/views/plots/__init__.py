"""Plots: what a picture shows (``pictures``, ``charts``), how it is drawn on paper and screen."""
