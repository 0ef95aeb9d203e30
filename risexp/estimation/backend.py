"""What computes the search on a CPU: compiled loops, or torch."""

from importlib.util import find_spec
from typing import Literal

from risexp.errors import EnvironmentFailed

Backend = Literal["compiled", "torch"]


def backend_of(option: Literal["auto", "compiled", "torch"]) -> Backend:
    """The backend of an option here: `auto` is the compiled one where Numba is installed."""
    installed = find_spec("numba") is not None
    if option == "compiled" and not installed:
        raise EnvironmentFailed(
            "localisation.backend = 'compiled' needs Numba: pip install numba, or use torch"
        )
    if option == "auto":
        return "compiled" if installed else "torch"
    return option
