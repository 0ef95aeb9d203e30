"""The import path that sealed model folders name; it must stay."""

from risexp.registry.pyfunc_model import Served

__all__ = ["Served"]
