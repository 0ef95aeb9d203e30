"""What ending trials early saved, and what it cost: a few of them trained to their ends."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Self

from risexp.hpo.studies.start_points import StartPoint
from risexp.hpo.studies.table import TrialRow, TrialWord
from risexp.space.study_spec import StudySpec

PRUNED: Final = "pruned"
"""Reason of a trial that its study ended early; one that a guard ended has the guard's."""
_MOST: Final = 3
"""How many are trained to their ends unless a share is given."""


@dataclass(frozen=True)
class Saved:
    """Epochs that pruning saved."""

    trials: int = 0
    """How many were ended early."""
    epochs: int = 0
    """Those that they had left, had nothing else ended them."""
    of: int = 0
    """Epochs of all trials with these."""

    @classmethod
    def of_study(cls, charter: StudySpec, rows: Sequence[TrialRow]) -> Self:
        """Count them.

        Args:
            charter: Of the study.
            rows: Its trials.
        """
        ended = pruned_rows(rows)
        left = [_planned(charter, each) - each.epoch for each in ended]
        return cls(len(ended), sum(left), sum(each.epoch for each in rows) + sum(left))

    def sentence(self) -> str:
        """The count with its share."""
        share = self.epochs / self.of if self.of else 0.0
        return f"pruning saved {self.epochs} of {self.of} epochs ({share:.0%})"


def pruned_rows(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The trials that their study ended early, the earliest first."""
    ended = (each for each in rows if each.state == "pruned" and each.reason == PRUNED)
    return sorted(ended, key=lambda row: (row.epoch, row.number))


def chosen(
    study: str, rows: Sequence[TrialRow], share: float | None, seed: int
) -> list[StartPoint]:
    """Trials that were ended early, spread over how early that was.

    In the order of the epochs after which they were ended they are cut into as many parts as are
    wanted, and one is drawn from each.

    Args:
        study: The name of their study.
        rows: Its trials.
        share: Of those that were ended early; by default three, or all where there are fewer.
        seed: Same seed, same trials.
    """
    ended, source = pruned_rows(rows), random.Random(seed)  # noqa: S311 - no secret is drawn
    count = len(ended)
    wanted = min(_MOST, count) if share is None else _part(share, count)
    bounds = [part * count // max(wanted, 1) for part in range(wanted + 1)]
    drawn = [ended[source.randrange(low, high)] for low, high in pairwise(bounds)]
    return [StartPoint(each.values, study, each.number, each.k_loc) for each in drawn]


def _part(share: float, count: int) -> int:
    """A share as people write it, rounded up: as floats, 0.07 of 100 is a little more than 7."""
    return math.ceil(Fraction(str(share)) * count)


@dataclass(frozen=True)
class Audited:
    """A trial that was ended early, and what it came to in the end."""

    trial: int
    """Its number in the study that ended it."""
    epoch: int
    """After which it was ended."""
    last: float | None
    """k_loc of that epoch."""
    state: TrialWord
    """Of the trial that went on to the end."""
    value: float | None
    """Its k_loc; None where it did not come to an end."""


@dataclass(frozen=True)
class Audit:
    """What a study gained and lost by ending trials early."""

    study: str
    saved: Saved
    best: float | None
    """Smallest k_loc of a complete trial of the study."""
    trials: tuple[Audited, ...]

    @property
    def ended(self) -> tuple[Audited, ...]:
        """Those that came to their ends."""
        return tuple(each for each in self.trials if each.value is not None)

    @property
    def better(self) -> int:
        """How many of them would have been the best of the study."""
        return sum(gain > 0.0 for gain in self._gains())

    @property
    def regret(self) -> float | None:
        """By how much k_loc would have been smaller, at most; None where nothing is known."""
        gains = self._gains()
        return max(0.0, *gains) if gains else None

    def _gains(self) -> list[float]:
        if self.best is None:
            return []
        return [self.best - each.value for each in self.trials if each.value is not None]

    def as_json(self) -> dict[str, Any]:
        """The audit as plain values."""
        return {
            "study": self.study,
            "saved": asdict(self.saved),
            "best": self.best,
            "trials": [asdict(each) for each in self.trials],
            "better_than_best": self.better,
            "regret": self.regret,
        }

    @classmethod
    def of(
        cls,
        study: str,
        charter: StudySpec,
        rows: Sequence[TrialRow],
        points: Sequence[StartPoint],
        audited: Mapping[int, TrialRow],
    ) -> Self:
        """Put a study and its audit side by side.

        Args:
            study: The name of the study.
            charter: Its own.
            rows: Its trials.
            points: What the audit began with, from slot 0 on.
            audited: The audit's trials by their slots.
        """
        by_number = {each.number: each for each in rows}
        found = (
            _audited(by_number[point.trial], audited[slot])
            for slot, point in enumerate(points)
            if slot in audited and point.trial in by_number
        )
        values = [each.value for each in rows if each.value is not None]
        saved = Saved.of_study(charter, rows)
        return cls(study, saved, min(values, default=None), tuple(found))


def _audited(before: TrialRow, after: TrialRow) -> Audited:
    return Audited(before.number, before.epoch, before.k_loc, after.state, after.value)


def _planned(charter: StudySpec, row: TrialRow) -> int:
    return charter.resolve(row.values).config.training.epochs
