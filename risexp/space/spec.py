"""Search spaces: which fields vary, over what, when, and which combinations are not runs."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self

from pydantic import Field, JsonValue, model_validator

from risexp.config.layers import Layer, Loaded, preset_layer, resolve
from risexp.config.run import RunConfig
from risexp.config.section import Section
from risexp.space.dimensions import Dimension, matches
from risexp.space.pruners import Median, Pruner
from risexp.space.samplers import Sampler, Tpe

Pick = Callable[[str, Dimension], JsonValue]
"""A value for the dimension of this path."""

SCORE: Final = "k_loc"
"""The metric that a study minimises, reported after each epoch."""


class Keep(Section):
    """How much worse the best trial of a stage may score than its first one, and still be kept."""

    k_loc: float = Field(default=0.05, ge=0.0, le=10.0)
    """By how much k_loc may grow."""
    k_acc: float = Field(default=0.01, ge=0.0, le=1.0)
    """How much K accuracy may be lost."""
    success_rate: float = Field(default=0.01, ge=0.0, le=1.0)
    """How much success may be lost."""


class SearchSpace(Section):
    """A base configuration, what is fixed on top of it, and what may move."""

    name: str
    """What the space is called: its file's name."""
    about: str = ""
    """One sentence for people: the file's first comment."""
    base: str | None = None
    """The preset under everything; null is the default configuration."""
    trials: int = Field(ge=1)
    """How many runs a search makes unless told otherwise; with stages, in each of them."""
    fixed: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields set for every trial."""
    start: dict[str, JsonValue] = Field(default_factory=dict)
    """What varied fields are in trial 0, where that is not what the base says."""
    vary: dict[str, Dimension] = Field(default_factory=dict)
    """Fields that vary, and how."""
    stages: dict[str, dict[str, Dimension]] = Field(default_factory=dict)
    """In place of `vary`: searches one after another, each with what it varies by its name. What
    the best trial of a stage has is fixed in those after it, if its scores hold."""
    keep: Keep = Keep()
    """When the scores of a stage hold."""
    forbid: list[dict[str, JsonValue]] = Field(default_factory=list)
    """Combinations that are no runs: a draw that has all the values of one is drawn again."""
    sampler: Sampler = Tpe()
    """What proposes trials."""
    pruner: Pruner = Median()
    """What ends trials early."""

    @model_validator(mode="after")
    def _something_varies(self) -> Self:
        if not self.vary and not self.stages:
            message = "nothing varies: give vary a field, or stages a stage"
            raise ValueError(message)
        if self.vary and self.stages:
            message = "vary and stages are two ways to say what varies: keep one"
            raise ValueError(message)
        if empty := [name for name, vary in self.stages.items() if not vary]:
            message = f"the stage {empty[0]} varies nothing"
            raise ValueError(message)
        varied = self.vary.keys() | {path for vary in self.stages.values() for path in vary}
        if still := [path for path in self.start if path not in varied]:
            message = f"start names {still[0]}, which does not vary: put it under fixed"
            raise ValueError(message)
        return self

    def trial_zero(self, over: tuple[Layer, ...] = ()) -> Loaded:
        """The base configuration itself, which every search runs first.

        Args:
            over: What a search sets on top of its space.

        Raises:
            ConfigInvalid: The base or a field set on it is unknown or invalid.
        """
        return resolve([*self.layers(), *over])

    def layers(self) -> list[Layer]:
        """What the space itself says about trial 0."""
        layers = [] if self.base is None else [preset_layer(self.base)]
        layers.append(Layer(f"space {self.name}: fixed", self.fixed))
        return [*layers, Layer(f"space {self.name}: start", self.start)]

    def ordered(self) -> Iterator[tuple[str, Dimension]]:
        """The dimensions, each after those its condition asks about; circular ones never come."""
        waiting = dict(self.vary)
        while ready := [path for path, each in waiting.items() if not each.when.keys() & waiting]:
            for path in ready:
                yield path, waiting.pop(path)

    def draw(self, base: RunConfig, source: random.Random) -> dict[str, JsonValue]:
        """Values for every dimension whose condition holds, forbidden or not."""
        return self.picked(base.flat(), lambda _, dimension: dimension.draw(source))

    def picked(self, known: Mapping[str, object], pick: Pick) -> dict[str, JsonValue]:
        """Values for every dimension whose condition holds, each as it is picked.

        Args:
            known: Every field of the base.
            pick: Asked in an order in which conditions come before what they decide.
        """
        values: dict[str, JsonValue] = {}
        for path, dimension in self.ordered():
            if self.active(dimension, {**known, **values}, values):
                values[path] = pick(path, dimension)
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
