"""Compiles the loops with Numba, and keeps the machine code for the next process."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from llvmlite import binding
from numba import config
from numba.core import types

from risexp.core.home import home

F = TypeVar("F", bound=Callable[..., Any])

_FASTMATH: Final = {"contract", "reassoc", "nsz", "arcp"}
"""Sums may be reordered, which is what lets a compiler use vectors. NaN and infinity keep their
meaning."""


def kernel(function: F) -> F:
    """Compile a function that other kernels call."""
    compiled: Any = _compiled(function, no_cpython_wrapper=True)
    if compiled is function:  # NUMBA_DISABLE_JIT
        return function
    template, plain = compiled.get_call_template, cast("Any", types.unliteral)

    def of_any_value(arguments: tuple[Any, ...], names: dict[str, Any]) -> object:
        # Numba would compile the function once more for a call with a literal.
        return template(tuple(plain(each) for each in arguments), names)

    compiled.get_call_template = of_any_value
    return cast("F", compiled)


def entry(function: F) -> F:
    """Compile a function that Python calls, with all that it calls; cached on disk."""
    options, folder = vars(config), _cache_folder()
    before = options["CACHE_DIR"]
    options["CACHE_DIR"] = folder
    try:
        return _compiled(function, cache=bool(folder))
    finally:
        options["CACHE_DIR"] = before


def _compiled(function: F, **options: bool) -> F:
    """Compile a function of arrays and numbers, beside which other threads run."""
    njit: Any = numba.njit
    plain = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    return cast("F", njit(function, fastmath=_FASTMATH, **plain, **options))


def is_cached() -> bool:
    """Whether an earlier process has kept machine code of these sources."""
    folder = _cache_folder()
    return bool(folder) and any(Path(folder).rglob("*.nbc"))


@cache
def _cache_folder() -> str:
    """A folder of these sources, this Numba and this processor; empty where none can be written.

    Numba looks only at a function's own file, and several machines may share a folder.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    features = cast("Any", binding.get_host_cpu_features)().flatten()
    machine = f"{numba.__version__} {binding.get_host_cpu_name()} {features}"
    code = b"".join(source.read_bytes() for source in sources)
    digest = hashlib.sha256(code + machine.encode()).hexdigest()[:16]
    for parent in _cache_parents():
        folder = parent / f"compiled-{digest}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return str(folder)
    return ""


def _cache_parents() -> Iterator[Path]:
    """Beside the sources, in the user's cache, and in the home: an image may be read-only."""
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "risexp"
    yield home().absolute() / "mlruns" / "kernels"
