"""The record of a run on disk: folder, journal, specification, outcome."""
