"""A study's best trials beside its base, each trained under several seeds: who stays ahead."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.evaluation.small_samples import mean_interval, rank_correlation
from risexp.hpo.studies.start_points import StartPoint, best_first
from risexp.hpo.studies.table import TrialRow
from risexp.space.confirm import SEED
from risexp.space.study_spec import StudySpec

LEVEL: Final = 0.95
"""Of the intervals."""


def candidates(
    charter: StudySpec, study: str, rows: Sequence[TrialRow], top: int
) -> list[StartPoint]:
    """The base, and after it the best of a study's complete trials that differ from it.

    What a study tried under several seeds is one candidate, and so is the base: with the number of
    its best trial, and the mean of its scores.

    Args:
        charter: Of the study.
        study: Its name.
        rows: Its trials.
        top: How many beside the base.
    """
    base, found = _without_seed(charter.base_values()), list[StartPoint]()
    complete = best_first(rows)
    for row in complete:
        values = _without_seed(row.values)
        if values not in [each.values for each in found]:
            found.append(StartPoint(values, study, row.number, _mean_of(complete, values)))
    zero = next((each for each in found if each.values == base), StartPoint(base, study))
    others = sorted(
        (each for each in found if each is not zero),
        key=lambda each: (each.score or 0.0, each.trial),
    )
    return [zero, *others[:top]]


def _mean_of(complete: Iterable[TrialRow], values: Mapping[str, JsonValue]) -> float:
    """k_loc of some values, over the seeds under which they were tried."""
    same = (each for each in complete if _without_seed(each.values) == values)
    return mean(each.value for each in same if each.value is not None)


def under_seeds(found: Sequence[StartPoint], seeds: Sequence[int]) -> list[StartPoint]:
    """Every candidate under the first seed, then every one under the next."""
    return [
        StartPoint({**each.values, SEED: seed}, each.study, each.trial, each.score)
        for seed in seeds
        for each in found
    ]


@dataclass(frozen=True)
class SeedDifference:
    """By how much k_loc is larger than the base's, over the seeds that both have."""

    mean: float
    interval: tuple[float, float] | None
    """Student's, of the differences seed by seed; None for one seed."""

    def as_json(self) -> dict[str, Any]:
        """The difference as plain values."""
        return {"mean": self.mean, "interval": self.interval and list(self.interval)}


@dataclass(frozen=True)
class ConfirmedPoint:
    """A trial that was trained anew under several seeds."""

    trial: int
    """Its number in the study it is from."""
    values: Mapping[str, JsonValue]
    before: float | None
    """Its k_loc there, the mean over its seeds; None where it has none."""
    scores: Mapping[int, float]
    """Of the seeds that came to their end."""
    best: int | None
    """Number of the trial of the confirming study that has the smallest k_loc."""
    rank_before: int | None = None
    """Among the candidates, from 1."""
    rank: int | None = None
    """By the mean of k_loc; None where a seed did not come to its end."""
    difference: SeedDifference | None = None
    """None for the base itself, and where no seed is shared."""

    @property
    def mean(self) -> float | None:
        """Of k_loc over the seeds."""
        return mean(self.scores.values()) if self.scores else None

    @property
    def range(self) -> tuple[float, float] | None:
        """The smallest and the largest k_loc of its seeds."""
        return (min(self.scores.values()), max(self.scores.values())) if self.scores else None

    def as_json(self) -> dict[str, Any]:
        """The candidate as plain values."""
        return {
            "trial": self.trial,
            "values": dict(self.values),
            "k_loc_before": self.before,
            "rank_before": self.rank_before,
            "k_loc_by_seed": {str(seed): score for seed, score in self.scores.items()},
            "k_loc": self.mean,
            "k_loc_range": self.range and list(self.range),
            "rank": self.rank,
            "against_base": self.difference and self.difference.as_json(),
        }


@dataclass(frozen=True)
class Confirmation:
    """What became of candidates, the base among them."""

    candidates: tuple[ConfirmedPoint, ...]
    """In the order of their ranks; those without one come last."""
    base: ConfirmedPoint
    seeds: tuple[int, ...]
    agreement: float | None
    """Spearman's rank correlation of k_loc before and after, without the base, which was not
    chosen; None for fewer than three pairs."""
    pairs: int
    """Candidates beside the base that have both scores."""

    @property
    def best(self) -> ConfirmedPoint | None:
        """The candidate of the smallest mean; None where none has all its seeds."""
        return next((each for each in self.candidates if each.rank == 1), None)

    def as_json(self) -> dict[str, Any]:
        """The confirmation as plain values."""
        return {
            "seeds": list(self.seeds),
            "level": LEVEL,
            "base": self.base.trial,
            "candidates": [each.as_json() for each in self.candidates],
            "rank_correlation": {"spearman": self.agreement, "candidates": self.pairs},
        }

    @classmethod
    def of(cls, points: Sequence[StartPoint], rows: Mapping[int, TrialRow]) -> Self:
        """Put the trials of a confirming study together again.

        Args:
            points: What it began with, from slot 0 on: `under_seeds`.
            rows: Its trials by their slots.
        """
        seeds = tuple(dict.fromkeys(_seed(each) for each in points))
        wide = len(points) // len(seeds)
        found = [_candidate(points[place::wide], place, wide, rows) for place in range(wide)]
        before = _ranks([each.before for each in found])
        whole = [each.mean if len(each.scores) == len(seeds) else None for each in found]
        told = [
            _compared(each, found[0], *ranks)
            for each, ranks in zip(found, zip(before, _ranks(whole), strict=True), strict=True)
        ]
        both = [
            (each.before, score)
            for each, score in zip(found[1:], whole[1:], strict=True)
            if each.before is not None and score is not None
        ]
        return cls(
            candidates=tuple(sorted(told, key=_order)),
            base=told[0],
            seeds=seeds,
            agreement=rank_correlation([one for one, _ in both], [other for _, other in both]),
            pairs=len(both),
        )


def _candidate(
    points: Sequence[StartPoint], place: int, wide: int, rows: Mapping[int, TrialRow]
) -> ConfirmedPoint:
    """One candidate, from its points in the order of the seeds."""
    ended = {
        _seed(point): rows[slot]
        for point, slot in zip(points, range(place, place + wide * len(points), wide), strict=True)
        if slot in rows and rows[slot].value is not None
    }
    first, best = points[0], best_first(ended.values())
    return ConfirmedPoint(
        trial=first.trial,
        values=_without_seed(first.values),
        before=first.score,
        scores={seed: row.value for seed, row in ended.items() if row.value is not None},
        best=best[0].number if best else None,
    )


def _compared(
    found: ConfirmedPoint, base: ConfirmedPoint, rank_before: int | None, rank: int | None
) -> ConfirmedPoint:
    shared = [seed for seed in found.scores if seed in base.scores]
    apart = [found.scores[seed] - base.scores[seed] for seed in shared]
    difference = None
    if apart and found is not base:
        difference = SeedDifference(mean(apart), mean_interval(apart, LEVEL))
    return replace(found, rank_before=rank_before, rank=rank, difference=difference)


def _ranks(scores: Sequence[float | None]) -> list[int | None]:
    """From 1 for the smallest; of equal ones the first comes first."""
    known = sorted((score, place) for place, score in enumerate(scores) if score is not None)
    ranks = {place: rank for rank, (_, place) in enumerate(known, start=1)}
    return [ranks.get(place) for place in range(len(scores))]


def _order(candidate: ConfirmedPoint) -> tuple[bool, int]:
    return candidate.rank is None, candidate.rank or candidate.trial


def _seed(point: StartPoint) -> int:
    return int(str(point.values[SEED]))


def _without_seed(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {path: value for path, value in values.items() if path != SEED}


def seeds_of(charter: StudySpec, rows: Iterable[TrialRow]) -> set[object]:
    """Every training seed that a study has used."""
    return {charter.base.training.seed, *(each.values.get(SEED) for each in rows)}
