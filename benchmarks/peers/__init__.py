"""Searches under the same kills: risexp, stock Optuna, and Ray Tune with OptunaSearch."""
