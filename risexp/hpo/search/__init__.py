"""Samplers, pruners and parameters of a study, by Optuna."""
