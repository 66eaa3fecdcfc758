"""What it takes to have a model: where it lies, its config, weights, adapter and device.

Reading order: ``request`` (what is asked for, and on which device), ``sources`` (where its files
are; ``hub``, ``folders``), ``kinds`` (whether it is a causal language model), ``loading`` (config,
tokenizer and weights; ``gguf``, ``quantized``, ``adapters``), ``failures`` (what went wrong, in one
line), ``fingerprint``, ``skeleton`` (a model's shape and size without its weights), ``quiet`` (the
libraries' own lines).
"""
