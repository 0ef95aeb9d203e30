"""Typed configuration: frozen sections, layers, presets and search spaces, without torch."""
