"""Predictions from weighted components: the paper's reweighting, and baselines beside it."""
