"""How much a seed is worth: by what runs differ that differ in nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from risexp.app.show.run import RunSeen
from risexp.config.run import RunConfig
from risexp.errors import RisexpError
from risexp.evaluation.ties import SeedSpread
from risexp.runs.folder import list_runs
from risexp.tracking.upload_state import UploadState

_SEED: Final = "training.seed"
_FIDELITY: Final = ("data.seed", "training.epochs", "training.patience")
"""Fields that a confirmation changes besides the seed: they say how well, not what, is trained."""
_Kind = tuple[object, ...]


@dataclass(frozen=True)
class Seeds:
    """What is known of the noise of seeds."""

    spread: SeedSpread | None
    """None where no run has the configuration of another one and another seed."""
    unread: int
    """Runs of this home that could not be read."""

    @property
    def used(self) -> SeedSpread | None:
        """That differences are widened by; None where it is not known well enough."""
        return self.spread if self.spread is not None and self.spread.enough else None

    def sentence(self) -> str:
        """Which noise of seeds a difference has to exceed."""
        found = f"seeds: {self._said()}"
        if self.unread:
            found += f"; left out, as they cannot be read: {self.unread} of the runs here"
        return found

    def as_json(self) -> dict[str, Any] | None:
        """The spread as plain values."""
        if self.spread is None:
            return None
        return {**vars(self.spread), "used": self.spread.enough}

    def _said(self) -> str:
        networks = (
            "what is told apart are these networks, not their configurations; risexp confirm "
            "trains both"
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


def seeds_of(runs: Sequence[RunSeen]) -> Seeds:
    """How k_loc varies with the seed in these runs and in runs of this home that are kin to them.

    Kin have the same configuration but for the seeds, and for how long they were trained: those
    of `risexp confirm`. Only runs that differ in the seed of training alone are set side by side.
    """
    kin = {_without(each.config, (_SEED, *_FIDELITY)) for each in runs}
    groups: dict[_Kind, dict[int, float]] = {}
    unread = 0
    for found in (*runs, *_others(runs, kin)):
        if found is None:
            unread += 1
        elif found.outcome is not None and found.outcome.status == "complete" and found.best:
            # A run that was made twice is one: what differs between the two is no seed.
            group = groups.setdefault(_without(found.config, (_SEED,)), {})
            group.setdefault(found.config.training.seed, found.best["k_loc"])
    return Seeds(SeedSpread.of([list(each.values()) for each in groups.values()]), unread)


def _others(runs: Sequence[RunSeen], kin: set[_Kind]) -> Iterator[RunSeen | None]:
    """Runs of this home beside these that are kin to them; None for each that cannot be read."""
    given: set[Path] = {each.folder.path.resolve() for each in runs}
    for folder in list_runs():
        if folder.path.resolve() in given:
            continue
        try:
            if _without(UploadState(folder.path).config(), (_SEED, *_FIDELITY)) in kin:
                yield RunSeen.of(str(folder.path))
        except RisexpError:
            yield None


def _without(config: RunConfig, paths: Sequence[str]) -> _Kind:
    """What a configuration says but for some fields."""
    values = config.canonical().flat().items()
    return tuple(str(value) for path, value in values if path not in paths)
