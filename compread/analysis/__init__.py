"""What the stored contributions say about each component, without the model."""
