"""Compiles the loops with Numba, and keeps the machine code for the next process."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba import config

F = TypeVar("F", bound=Callable[..., Any])

_FASTMATH: Final = {"contract", "reassoc", "nsz", "arcp"}
"""Sums may be reordered, which is what lets a compiler use vectors. NaN and infinity keep their
meaning."""


def kernel(function: F) -> F:
    """Compile a function of arrays and numbers; other threads run beside it; cached on disk."""
    options, folder = vars(config), _cache_folder()
    before = options["CACHE_DIR"]
    options["CACHE_DIR"] = folder
    try:
        compiled = numba.njit(
            function, cache=bool(folder), fastmath=_FASTMATH, nogil=True, error_model="numpy"
        )
    finally:
        options["CACHE_DIR"] = before
    return cast("F", compiled)


def is_cached() -> bool:
    """Whether an earlier process has kept machine code of these sources."""
    folder = _cache_folder()
    return bool(folder) and any(Path(folder).rglob("*.nbc"))


@cache
def _cache_folder() -> str:
    """A folder of these very sources: Numba looks only at a function's file, not at those it calls.

    It lies beside the sources or, where that cannot be written, in the user's cache; empty where no
    folder can be written, so that each process compiles anew.
    """
    here = Path(__file__).parent
    sources = sorted(here.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for parent in (here / "__pycache__", own / "risexp"):
        folder = parent / f"compiled-{digest}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return str(folder)
    return ""
