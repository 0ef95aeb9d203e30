"""The home: the folder of stores, runs and spaces."""

import os
from pathlib import Path


def home() -> Path:
    """Where stores and spaces live: RISEXP_HOME, or the current directory."""
    return Path(os.environ.get("RISEXP_HOME") or ".")
