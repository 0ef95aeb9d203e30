"""The dimensions of a search space: the values of a field, and when it varies."""

import math
import random
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from risexp.config.section import Section


class _Dimension(Section):
    """The base of all dimensions, with their condition."""

    when: dict[str, JsonValue] = Field(default_factory=dict)
    """The dimension varies only if these fields have the value, or one of a list of values."""


class _Range(_Dimension):
    low: float
    """Smallest value."""
    high: float
    """Largest value."""

    @model_validator(mode="after")
    def _has_width(self) -> Self:
        if not self.low < self.high:
            message = f"low = {self.low:g} must lie below high = {self.high:g}"
            raise ValueError(message)
        return self

    def ends(self) -> list[JsonValue]:
        """The bounds; if they are valid, all values between them are."""
        return [self.low, self.high]

    def holds(self, value: object) -> bool:
        """Whether the value lies inside."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= float(str(value)) <= self.high


class Uniform(_Range):
    """Uniform between two numbers."""

    kind: Literal["uniform"]
    """The distribution of the values."""

    def draw(self, source: random.Random) -> JsonValue:
        """One value."""
        return source.uniform(self.low, self.high)


class Log(_Range):
    """Uniform in the logarithm between two positive numbers."""

    kind: Literal["log"]
    """The distribution of the values."""

    @model_validator(mode="after")
    def _is_positive(self) -> Self:
        if self.low <= 0.0:
            message = f"low = {self.low:g} must be positive on a logarithmic scale"
            raise ValueError(message)
        return self

    def draw(self, source: random.Random) -> JsonValue:
        """One value."""
        drawn = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)


class Integer(_Dimension):
    """Uniform over whole numbers."""

    kind: Literal["int"]
    """The distribution of the values."""
    low: int
    """Smallest value."""
    high: int
    """Largest value, included."""
    step: int = Field(default=1, ge=1)
    """Distance of neighbouring values."""

    @model_validator(mode="after")
    def _has_width(self) -> Self:
        if not self.low < self.high or (self.high - self.low) % self.step:
            message = f"step = {self.step} must lead from low = {self.low} to high = {self.high}"
            raise ValueError(message)
        return self

    def ends(self) -> list[JsonValue]:
        """The bounds; if they are valid, all values between them are."""
        return [self.low, self.high]

    def holds(self, value: object) -> bool:
        """Whether the value lies inside, on a step."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value in range(self.low, self.high + 1, self.step)

    def draw(self, source: random.Random) -> JsonValue:
        """One value."""
        return source.randrange(self.low, self.high + 1, self.step)


class Choice(_Dimension):
    """One of a few values."""

    kind: Literal["choice"]
    """The distribution of the values."""
    options: list[JsonValue] = Field(min_length=2)
    """The values."""

    @field_validator("options")
    @classmethod
    def _differ(cls, options: list[JsonValue]) -> list[JsonValue]:
        if any(option in options[:place] for place, option in enumerate(options)):
            message = f"{options} names one option twice"
            raise ValueError(message)
        return options

    def ends(self) -> list[JsonValue]:
        """Every option."""
        return self.options

    def holds(self, value: object) -> bool:
        """Whether the value is an option."""
        return value in self.options

    def draw(self, source: random.Random) -> JsonValue:
        """One value."""
        return source.choice(self.options)


Dimension = Annotated[Uniform | Log | Integer | Choice, Field(discriminator="kind")]


def matches(value: object, condition: JsonValue) -> bool:
    """Whether a value equals the condition or is in its list; a list may equal a list."""
    if value == condition:
        return True
    return isinstance(condition, list) and value in condition
