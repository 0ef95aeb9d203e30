"""Optuna's samplers and pruners, and what they are told."""
