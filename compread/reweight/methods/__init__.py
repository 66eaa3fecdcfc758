"""The methods, one a file; ``compread.reweight.registry`` has them by name."""
