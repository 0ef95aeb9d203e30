"""Callbacks of a run: guards, checkpoints, recorder, early stopping, console."""
