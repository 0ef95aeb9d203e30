"""Train, search, compare and ship networks that localise sources in the near field of a RIS."""

__version__ = "0.1.0"
