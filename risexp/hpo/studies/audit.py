"""Audit of pruning: epochs saved, and the scores of pruned trials after training to the end."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Self

from risexp.hpo.studies.start import StartPoint
from risexp.hpo.studies.study import TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.study_spec import StudySpec

PRUNED: Final = "pruned"
"""Reason of a trial that its pruner ended; a trial that a guard ended has the guard's name."""
AUDIT_HEADINGS: Final = (
    *("trial", "ended after", "k_loc then", "state now", "k_loc now", "against best"),
)
_EPOCHS: Final = "training.epochs"
_DEFAULT: Final = 3
"""Audited trials where no share is given."""


@dataclass(frozen=True)
class Saved:
    """Epochs that pruning saved."""

    trials: int = 0
    """Pruned ones."""
    epochs: int = 0
    """Those that they had left, had nothing else ended them."""
    of: int = 0
    """Epochs of all trials with these."""

    @classmethod
    def of_study(cls, spec: StudySpec, rows: Sequence[TrialRow]) -> Self:
        """Count the epochs that pruning saved in a study."""
        pruned = pruned_rows(rows)
        base = spec.base.training.epochs
        planned = sum(int(str(row.values.get(_EPOCHS, base))) for row in pruned)
        left = planned - sum(row.epoch for row in pruned)
        return cls(len(pruned), left, sum(row.epoch for row in rows) + left)

    def sentence(self) -> str:
        """The count with its share."""
        share = self.epochs / self.of if self.of else 0.0
        return f"pruning saved {self.epochs} of {self.of} epochs ({share:.0%})"


def pruned_rows(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The trials that the pruner ended, the earliest first."""
    pruned = (row for row in rows if row.state == "pruned" and row.reason == PRUNED)
    return sorted(pruned, key=lambda row: (row.epoch, row.number))


def audit_points(table: StudyTable, share: float | None, seed: int) -> list[StartPoint]:
    """Pruned trials of a study, spread over the epochs after which they were pruned.

    Sorted by that epoch, the pruned trials are cut into equal parts, and one of each is drawn.

    Args:
        table: The study.
        share: Of the pruned trials; by default three, or all where there are fewer.
        seed: Same seed, same trials.
    """
    pruned, source = pruned_rows(table.trials), random.Random(seed)  # noqa: S311 - no secret is drawn
    count = len(pruned)
    # As people write it, rounded up: as floats, 0.07 of 100 is a little more than 7.
    parts = min(_DEFAULT, count) if share is None else math.ceil(Fraction(str(share)) * count)
    bounds = [part * count // max(parts, 1) for part in range(parts + 1)]
    drawn = [pruned[source.randrange(low, high)] for low, high in pairwise(bounds)]
    return [StartPoint(row.values, table.name, row.number, row.k_loc) for row in drawn]


@dataclass(frozen=True)
class Audited:
    """A pruned trial, and its score after training to the end."""

    trial: int
    """Its number in the study that pruned it."""
    epoch: int
    """The last one before it was pruned."""
    last: float | None
    """k_loc of that epoch."""
    state: TrialWord
    """Of the trial that trained on."""
    value: float | None
    """Its k_loc; None where it did not complete."""


@dataclass(frozen=True)
class Audit:
    """Gains and losses of pruning in a study."""

    study: str
    saved: Saved
    best: float | None
    """Smallest k_loc of a complete trial of the study."""
    trials: tuple[Audited, ...]

    @property
    def ended(self) -> tuple[Audited, ...]:
        """The audited trials that completed."""
        return tuple(trial for trial in self.trials if trial.value is not None)

    @property
    def better(self) -> int:
        """Number of audited trials that would have been the best of the study."""
        return sum(gain > 0.0 for gain in self._gains())

    @property
    def regret(self) -> float | None:
        """The largest gain in k_loc that pruning prevented; None where no trial tells."""
        gains = self._gains()
        return max(0.0, *gains) if gains else None

    def cells(self) -> list[tuple[object, ...]]:
        """Rows of a table under `AUDIT_HEADINGS`."""
        rows = list[tuple[object, ...]]()
        for each in self.trials:
            then = "" if each.last is None else f"{each.last:.3f}"
            now = "" if each.value is None else f"{each.value:.3f}"
            apart = None if each.value is None or self.best is None else each.value - self.best
            against = "" if apart is None else f"{apart:+.3f}"
            rows.append((each.trial, each.epoch, then, each.state, now, against))
        return rows

    def _gains(self) -> list[float]:
        if self.best is None:
            return []
        return [self.best - trial.value for trial in self.trials if trial.value is not None]

    def as_json(self) -> dict[str, Any]:
        """The audit as plain values."""
        return {
            "study": self.study,
            "saved": asdict(self.saved),
            "best": self.best,
            "trials": [asdict(trial) for trial in self.trials],
            "better_than_best": self.better,
            "regret": self.regret,
        }

    @classmethod
    def of(
        cls,
        spec: StudySpec,
        table: StudyTable,
        points: Sequence[StartPoint] = (),
        audited: Mapping[int, TrialRow] | None = None,
    ) -> Self:
        """Compare the trials of a study with those of its audit.

        Args:
            spec: Of the study.
            table: Its trials.
            points: Of the audit, from slot 0 on.
            audited: The audit's trials by their slots.
        """
        pruned, after = {row.number: row for row in table.trials}, audited or {}
        trials = (
            _audited(pruned[point.trial], after[slot])
            for slot, point in enumerate(points)
            if slot in after and point.trial in pruned
        )
        saved = Saved.of_study(spec, table.trials)
        return cls(table.name, saved, table.lowest, tuple(trials))


def _audited(before: TrialRow, after: TrialRow) -> Audited:
    return Audited(before.number, before.epoch, before.k_loc, after.state, after.value)
