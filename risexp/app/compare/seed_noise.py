"""Noise of the training seed, from runs that differ in nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from risexp.app.show.run import RunSeen
from risexp.config.run import RunConfig
from risexp.errors import RisexpError
from risexp.evaluation.ties import SeedSpread
from risexp.runs.folder import list_runs

_SEED: Final = "training.seed"
_FIDELITY: Final = ("data.seed", "training.epochs", "training.patience")
"""Fields that a confirmation changes besides the seed: they change how long a run trains."""
_Kind = tuple[object, ...]


@dataclass(frozen=True)
class SeedNoise:
    """The spread of k_loc over seeds."""

    spread: SeedSpread | None
    """None if no two runs differ in their seed alone."""
    unread: int
    """Number of runs of this home that could not be read."""

    @property
    def used(self) -> SeedSpread | None:
        """The spread that widens differences; None if it is not known well enough."""
        return self.spread if self.spread is not None and self.spread.enough else None

    def sentence(self) -> str:
        """The noise of seeds that a difference must exceed."""
        sentence = f"seeds: {self._known()}"
        if self.unread:
            sentence += f"; left out, as they cannot be read: {self.unread} of the runs here"
        return sentence

    def as_json(self) -> dict[str, Any] | None:
        """The spread as plain values."""
        if self.spread is None:
            return None
        return {**vars(self.spread), "used": self.spread.enough}

    def _known(self) -> str:
        networks = (
            "the verdicts hold for these networks, not for their configurations; risexp confirm "
            "compares configurations"
        )
        if self.spread is None:
            return (
                "not known, as no run here has the configuration of another one and another "
                f"{_SEED}: {networks}"
            )
        freedom = self.spread.freedom
        runs = f"{self.spread.runs} runs that differ from another in {_SEED} alone"
        degrees = f"{freedom} degree{'s' if freedom > 1 else ''} of freedom"
        if not self.spread.enough:
            return f"left out, as {runs} ({degrees}) are too few to tell: {networks}"
        return f"k_loc of {runs} has a deviation of {self.spread.deviation:.3f}, of {degrees}"


def seed_noise(runs: Sequence[RunSeen]) -> SeedNoise:
    """Spread of k_loc over seeds, from these runs and from similar runs of this home.

    Similar runs have the same configuration but for seeds and length, as `risexp confirm` trains
    them. Within a group, only the training seed differs.
    """
    similar = {_without(run.config, (_SEED, *_FIDELITY)) for run in runs}
    groups: dict[_Kind, dict[int, float]] = {}
    unread = 0
    for run in (*runs, *_others(runs, similar)):
        if run is None:
            unread += 1
        elif run.outcome is not None and run.outcome.status == "complete" and run.best:
            # Two runs with one seed count once: their difference is not due to a seed.
            group = groups.setdefault(_without(run.config, (_SEED,)), {})
            group.setdefault(run.config.training.seed, run.best["k_loc"])
    return SeedNoise(SeedSpread.of([list(group.values()) for group in groups.values()]), unread)


def _others(runs: Sequence[RunSeen], similar: set[_Kind]) -> Iterator[RunSeen | None]:
    """Similar runs of this home; None for each run that cannot be read."""
    known: set[Path] = {run.folder.path.resolve() for run in runs}
    for folder in list_runs():
        if folder.path.resolve() in known:
            continue
        try:
            if _without(folder.config(), (_SEED, *_FIDELITY)) in similar:
                yield RunSeen.of(str(folder.path))
        except RisexpError:
            yield None


def _without(config: RunConfig, paths: Sequence[str]) -> _Kind:
    values = config.canonical().flat().items()
    return tuple(str(value) for path, value in values if path not in paths)
