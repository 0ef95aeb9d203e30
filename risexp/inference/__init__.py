"""Frames in, positions out: what validation, evaluation, baselines and serving share."""
