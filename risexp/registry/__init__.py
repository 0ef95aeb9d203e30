"""Trained networks as sealed files and MLflow models; their registry, gates and promotion."""
