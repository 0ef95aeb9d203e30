"""The base of all configuration sections, and the error sentence of a failed validation."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from risexp.core.printable import shortened

_LONGEST_VALUE = 80


class Section(BaseModel):
    """A frozen part of the configuration with documented and validated fields.

    Unknown names, NaN and infinities are errors, and nothing is coerced: `"12"` is no number.
    The docstring under a field is its description.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        strict=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    def reset_idle(self, idle: Mapping[str, bool]) -> Self:
        """The same section with idle fields at their defaults.

        Args:
            idle: Whether a field is without effect, by its name.
        """
        known = type(self).model_fields
        return self.model_copy(
            update={name: known[name].default for name, off in idle.items() if off}
        )


def _as_pair(value: object) -> object:
    """A tuple, as YAML only has lists."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if low > high:
        message = f"the lower bound {low:g} lies above the upper bound {high:g}"
        raise ValueError(message)
    return bounds


Interval = Annotated[tuple[float, float], BeforeValidator(_as_pair), AfterValidator(_ordered)]
"""A closed range [low, high]; equal ends mean a constant."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` if the name is close to a known one, else an empty string."""
    candidates = list(known)
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not close:
        last = name.rsplit(".", 1)[-1]
        by_last = {path.rsplit(".", 1)[-1]: path for path in candidates}
        close = [by_last[key] for key in difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)]
    return f"; did you mean {close[0]}?" if close else ""


def one_sentence(error: ValidationError, origins: Mapping[str, str] | None = None) -> str:
    """The first error of a validation as `path = value (origin): message`."""
    first, *rest = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "missing":
        sentence = f"{path} is missing"
    elif isinstance(first["input"], dict) or not path:
        sentence = f"{path}: {message}" if path else message
    else:
        value = shortened(repr(first["input"]), _LONGEST_VALUE)
        sentence = f"{path} = {value}{_origin(path, origins)}: {message}"
    return sentence + (f" (and {len(rest)} more)" if rest else "")


def _origin(path: str, origins: Mapping[str, str] | None) -> str:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        origin = (origins or {}).get(".".join(parts[:end]))
        if origin:
            return f" (from {origin})"
    return ""
