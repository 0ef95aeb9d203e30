"""The largest cost of a search, before it starts."""

from dataclasses import dataclass
from typing import Any

from risexp.config.layers import Layer
from risexp.space.derived import stage_space
from risexp.space.spec import SearchSpace


@dataclass(frozen=True)
class Cost:
    """The cost of a search without pruned trials, at the upper bounds of varied lengths."""

    trials: int
    epochs: int
    """Of one trial."""
    scenes: int
    """Training scenes of all trials."""

    def seconds(self, rate: float) -> float:
        """The time of one worker at a rate of scenes a second."""
        return self.scenes / rate

    def as_json(self, rate: float) -> dict[str, Any]:
        """The cost as plain values, with the rate behind its seconds."""
        return {**vars(self), "scenes_per_s": rate, "seconds": round(self.seconds(rate), 1)}


def cost_of(space: SearchSpace, over: tuple[Layer, ...] = ()) -> Cost:
    """The cost of a sound space, all stages together; `over` are layers that a search adds."""
    spaces = [stage_space(space, stage, {}) for stage in space.stages] or [space]
    longest = [_longest(part, over) for part in spaces]
    return Cost(
        trials=space.trials * len(spaces),
        epochs=max(epochs for epochs, _ in longest),
        scenes=sum(space.trials * epochs * scenes for epochs, scenes in longest),
    )


def _longest(space: SearchSpace, over: tuple[Layer, ...]) -> tuple[int, int]:
    """The most epochs of a trial and the most scenes of an epoch."""
    known = space.trial_zero(over).config.flat()
    limits = []
    for path in ("training.epochs", "training.scenes_per_epoch"):
        ends = space.vary[path].ends() if path in space.vary else []
        limits.append(max(int(str(value)) for value in [known[path], *ends]))
    return limits[0], limits[1]


def in_words(seconds: float) -> str:
    """A time in words: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60.0), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
