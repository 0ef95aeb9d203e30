"""Search spaces: which fields vary, over what, when, and which combinations are not runs."""

import math
import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from risexp.config.layers import Layer, Loaded, preset_layer, resolve
from risexp.config.run import RunConfig
from risexp.config.section import Section


class _Dimension(Section):
    """What all kinds of dimensions share: the condition under which they exist."""

    when: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields and the value, or list of values, they must have for this dimension to be varied."""


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
        """The values whose validity stands for all between them."""
        return [self.low, self.high]

    def holds(self, value: object) -> bool:
        """Whether the value lies inside."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= float(str(value)) <= self.high


class Uniform(_Range):
    """Evenly between two numbers."""

    kind: Literal["uniform"]
    """How the values are spread."""

    def draw(self, source: random.Random) -> JsonValue:
        """One value."""
        return source.uniform(self.low, self.high)


class Log(_Range):
    """Evenly in the logarithm between two positive numbers."""

    kind: Literal["log"]
    """How the values are spread."""

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
    """Evenly over whole numbers."""

    kind: Literal["int"]
    """How the values are spread."""
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
        """The values whose validity stands for all between them."""
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
    """How the values are spread."""
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


class SearchSpace(Section):
    """A base configuration, what is fixed on top of it, and what may move."""

    name: str
    """What the space is called: its file's name."""
    about: str = ""
    """One sentence for people: the file's first comment."""
    base: str | None = None
    """The preset under everything; null is the default configuration."""
    trials: int = Field(ge=1)
    """How many runs a search of this space makes unless told otherwise."""
    fixed: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields set for every trial."""
    vary: dict[str, Dimension] = Field(min_length=1)
    """Fields that vary, and how."""
    forbid: list[dict[str, JsonValue]] = Field(default_factory=list)
    """Combinations that are no runs: a draw that has all the values of one is drawn again."""

    def trial_zero(self) -> Loaded:
        """The base configuration itself, which every search runs first.

        Raises:
            ConfigInvalid: The base or a fixed field is unknown or invalid.
        """
        layers = [] if self.base is None else [preset_layer(self.base)]
        return resolve([*layers, Layer(f"space {self.name}: fixed", self.fixed)])

    def ordered(self) -> Iterator[tuple[str, Dimension]]:
        """The dimensions, each after those its condition asks about; circular ones never come."""
        waiting = dict(self.vary)
        while ready := [path for path, each in waiting.items() if not each.when.keys() & waiting]:
            for path in ready:
                yield path, waiting.pop(path)

    def draw(self, base: RunConfig, source: random.Random) -> dict[str, JsonValue]:
        """Values for every dimension whose condition holds, forbidden or not."""
        values: dict[str, JsonValue] = {}
        known = base.flat()
        for path, dimension in self.ordered():
            if self.active(dimension, known | values, values):
                values[path] = dimension.draw(source)
        return values

    def active(
        self, dimension: Dimension, known: Mapping[str, object], drawn: Mapping[str, object]
    ) -> bool:
        """Whether the dimension's condition holds; one on an undrawn dimension does not."""
        return all(
            (path in drawn or path not in self.vary) and matches(known.get(path), wanted)
            for path, wanted in dimension.when.items()
        )

    def forbids(self, known: Mapping[str, object]) -> bool:
        """Whether the values contain a forbidden combination."""
        return any(
            all(matches(known.get(path), wanted) for path, wanted in combination.items())
            for combination in self.forbid
        )


def matches(value: object, wanted: JsonValue) -> bool:
    """Equal, or one of a list; a field that is itself a list equals a list."""
    if value == wanted:
        return True
    return isinstance(wanted, list) and value in wanted
