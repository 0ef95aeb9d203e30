"""The specification of a search space: what is fixed, what varies, and what is forbidden."""

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
"""From path and dimension to a value."""

SCORE: Final = "k_loc"
"""The metric that a study minimises, reported after each epoch."""


class Keep(Section):
    """How much worse than trial 0 the best trial of a stage may score and still be kept."""

    k_loc: float = Field(default=0.05, ge=0.0, le=10.0)
    """Largest rise of k_loc."""
    k_acc: float = Field(default=0.01, ge=0.0, le=1.0)
    """Largest loss of K accuracy."""
    success_rate: float = Field(default=0.01, ge=0.0, le=1.0)
    """Largest loss of success."""


class SearchSpace(Section):
    """A base configuration, the fields fixed on top of it, and the fields that vary."""

    name: str
    """The name of its file."""
    about: str = ""
    """One sentence: the file's first comment."""
    base: str | None = None
    """A preset; null is the default configuration."""
    trials: int = Field(ge=1)
    """Default number of trials of a search; with stages, of every stage."""
    fixed: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields set for every trial."""
    start: dict[str, JsonValue] = Field(default_factory=dict)
    """Values of varied fields in trial 0, if they differ from the base."""
    vary: dict[str, Dimension] = Field(default_factory=dict)
    """Fields that vary, and how."""
    stages: dict[str, dict[str, Dimension]] = Field(default_factory=dict)
    """Instead of `vary`: named searches one after another, with what they vary. The best values of
    a stage are fixed in later ones if its scores hold."""
    keep: Keep = Keep()
    """The condition under which the scores of a stage hold."""
    forbid: list[dict[str, JsonValue]] = Field(default_factory=list)
    """Forbidden combinations: a draw with all values of one is drawn again."""
    sampler: Sampler = Tpe()
    """The sampler, which proposes trials."""
    pruner: Pruner = Median()
    """The pruner, which ends trials early."""

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
        """The configuration of trial 0: the base, with the layers that a search puts over it."""
        return resolve([*self.layers(), *over])

    def layers(self) -> list[Layer]:
        """The layers of trial 0."""
        layers = [] if self.base is None else [preset_layer(self.base)]
        layers.append(Layer(f"space {self.name}: fixed", self.fixed))
        return [*layers, Layer(f"space {self.name}: start", self.start)]

    def ordered(self) -> Iterator[tuple[str, Dimension]]:
        """The dimensions, after those that their conditions name; circular ones are left out."""
        waiting = dict(self.vary)
        while ready := [path for path, dim in waiting.items() if not dim.when.keys() & waiting]:
            for path in ready:
                yield path, waiting.pop(path)

    def draw(self, base: RunConfig, source: random.Random) -> dict[str, JsonValue]:
        """Random values for every dimension whose condition holds, forbidden or not."""
        return self.pick_values(base.flat(), lambda _, dimension: dimension.draw(source))

    def pick_values(self, known: Mapping[str, object], pick: Pick) -> dict[str, JsonValue]:
        """Values by `pick` for every dimension whose condition holds.

        Args:
            known: Every field of the base.
            pick: Called for a dimension after those in its condition.
        """
        values: dict[str, JsonValue] = {}
        for path, dimension in self.ordered():
            if self.active(dimension, {**known, **values}, values):
                values[path] = pick(path, dimension)
        return values

    def active(
        self, dimension: Dimension, known: Mapping[str, object], drawn: Mapping[str, object]
    ) -> bool:
        """Whether a dimension's condition holds; it fails if it names an undrawn dimension."""
        return all(
            (path in drawn or path not in self.vary) and matches(known.get(path), value)
            for path, value in dimension.when.items()
        )

    def forbids(self, known: Mapping[str, object]) -> bool:
        """Whether the values contain a forbidden combination."""
        return any(
            all(matches(known.get(path), value) for path, value in combination.items())
            for combination in self.forbid
        )
