"""How component weights are found: the objectives, their optima, and sums over many rows."""
