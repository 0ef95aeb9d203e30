"""Compiled loops of the search on a CPU: the mathematics of the torch path, scene by scene."""
