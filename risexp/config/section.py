"""The base of every configuration section: frozen, closed, and finite."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A frozen part of the configuration whose every field is documented and checked.

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

    def resting(self, idle: Mapping[str, bool]) -> Self:
        """The same section with its idle fields as they are by default.

        Args:
            idle: Whether a field is without effect, by its name.
        """
        known = type(self).model_fields
        return self.model_copy(
            update={name: known[name].default for name, off in idle.items() if off}
        )


def _as_pair(value: object) -> object:
    """YAML knows lists only; a strict tuple would refuse them."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if low > high:
        message = f"the lower bound {low:g} lies above the upper bound {high:g}"
        raise ValueError(message)
    return bounds


Interval = Annotated[tuple[float, float], BeforeValidator(_as_pair), AfterValidator(_ordered)]
"""A closed range [low, high]; both ends equal means a constant."""
