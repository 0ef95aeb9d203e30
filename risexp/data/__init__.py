"""Scenes: what a receiver has, what is true, how both are drawn, and how sets are frozen."""
