"""What a search costs at most, before anybody pays for it."""

from dataclasses import dataclass
from typing import Any, Final

from risexp.config.layers import Layer
from risexp.space.spec import SearchSpace
from risexp.space.stages import stage_space

RATE: Final = 500.0
"""Scenes a second that the preset `small` trains on, validation included, on one CPU core."""


@dataclass(frozen=True)
class Cost:
    """A search in which every trial comes to its end, and ranges of lengths to theirs."""

    trials: int
    epochs: int
    """Of one trial."""
    scenes: int
    """Training scenes of all trials."""

    def seconds(self, rate: float) -> float:
        """How long one worker takes.

        Args:
            rate: Scenes a second, validation included.
        """
        return self.scenes / rate

    def as_json(self, rate: float) -> dict[str, Any]:
        """The cost as plain values, with the rate that its seconds rest on."""
        return {**vars(self), "scenes_per_s": rate, "seconds": round(self.seconds(rate), 1)}


def cost_of(space: SearchSpace, over: tuple[Layer, ...] = ()) -> Cost:
    """The cost of a sound space.

    Args:
        space: Of a staged one, all stages together.
        over: What a search sets on top of it.
    """
    spaces = [stage_space(space, stage, {}) for stage in space.stages] or [space]
    longest = [_longest(each, over) for each in spaces]
    return Cost(
        trials=space.trials * len(spaces),
        epochs=max(epochs for epochs, _ in longest),
        scenes=sum(space.trials * epochs * scenes for epochs, scenes in longest),
    )


def _longest(space: SearchSpace, over: tuple[Layer, ...]) -> tuple[int, int]:
    """The most epochs of a trial, and the most scenes of an epoch."""
    known = space.trial_zero(over).config.flat()
    found = []
    for path in ("training.epochs", "training.scenes_per_epoch"):
        ends = space.vary[path].ends() if path in space.vary else []
        found.append(max(int(str(value)) for value in [known[path], *ends]))
    return found[0], found[1]


def in_words(seconds: float) -> str:
    """A time as a person says it: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60.0), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
