"""Confirmation of a search: its best trials and its base, each trained under several seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.evaluation.small_samples import mean_interval, rank_correlation
from risexp.hpo.studies.start import StartPoint, best_first
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.derived import SEED
from risexp.space.study_spec import StudySpec

LEVEL: Final = 0.95
"""Of the intervals."""
CONFIRMED_HEADINGS: Final = (
    *("trial", "k_loc before", "rank", "k_loc now", "min to max", "seeds", "against base"),
    *("95 % interval", "rank now"),
)


def candidates(spec: StudySpec, table: StudyTable, top: int) -> list[StartPoint]:
    """The base, followed by the best complete trials that differ from it.

    Trials that differ in their seed alone are one candidate, with the number of the best and the
    mean score.

    Args:
        spec: Of the study.
        table: Its trials.
        top: Number of candidates beside the base.
    """
    base, points = _without_seed(spec.base_values()), list[StartPoint]()
    complete = best_first(table.trials)
    for row in complete:
        values = _without_seed(row.values)
        if values not in [point.values for point in points]:
            score = _mean_score(complete, values)
            points.append(StartPoint(values, table.name, row.number, score))
    zero = next((point for point in points if point.values == base), StartPoint(base, table.name))
    others = sorted(
        (point for point in points if point is not zero),
        key=lambda point: (point.score or 0.0, point.trial),
    )
    return [zero, *others[:top]]


def _mean_score(complete: Iterable[TrialRow], values: Mapping[str, JsonValue]) -> float:
    same = (row for row in complete if _without_seed(row.values) == values)
    return mean(row.value for row in same if row.value is not None)


def under_seeds(points: Sequence[StartPoint], seeds: Sequence[int]) -> list[StartPoint]:
    """Every candidate under the first seed, then every candidate under the next."""
    return [
        replace(point, values={**point.values, SEED: seed}) for seed in seeds for point in points
    ]


@dataclass(frozen=True)
class SeedDifference:
    """k_loc of a candidate less that of the base, over the seeds that both completed."""

    mean: float
    interval: tuple[float, float] | None
    """Student's, of the differences seed by seed; None for one seed."""

    def as_json(self) -> dict[str, Any]:
        """The difference as plain values."""
        return {"mean": self.mean, "interval": self.interval and list(self.interval)}


@dataclass(frozen=True)
class ConfirmedPoint:
    """A candidate that was trained under several seeds."""

    trial: int
    """Its number in the source study."""
    values: Mapping[str, JsonValue]
    before: float | None
    """Its k_loc there, the mean over its seeds; None where it has none."""
    scores: Mapping[int, float]
    """k_loc by completed seed."""
    best: int | None
    """Number of the confirming trial of smallest k_loc."""
    rank_before: int | None
    """Among the candidates, from 1."""
    rank: int | None
    """By the mean of k_loc; None where a seed did not complete."""
    difference: SeedDifference | None = None
    """None for the base itself, and where no seed is shared."""

    @property
    def mean(self) -> float | None:
        """Mean k_loc over the seeds."""
        return mean(self.scores.values()) if self.scores else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest k_loc over the seeds."""
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
    """The candidates, the base among them, with their ranks before and after."""

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
        return next((point for point in self.candidates if point.rank == 1), None)

    def as_json(self) -> dict[str, Any]:
        """The confirmation as plain values."""
        return {
            "seeds": list(self.seeds),
            "level": LEVEL,
            "base": self.base.trial,
            "candidates": [point.as_json() for point in self.candidates],
            "rank_correlation": {"spearman": self.agreement, "candidates": self.pairs},
        }

    def cells(self) -> list[tuple[object, ...]]:
        """Rows of a table under `CONFIRMED_HEADINGS`."""
        rows = list[tuple[object, ...]]()
        for point in self.candidates:
            ends, apart = point.range, point.difference
            interval = apart and apart.interval
            cells = (
                "base" if point is self.base else str(point.trial),
                "" if point.before is None else f"{point.before:.3f}",
                point.rank_before or "",
                "" if point.mean is None else f"{point.mean:.3f}",
                f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "",
                f"{len(point.scores)} of {len(self.seeds)}",
                f"{apart.mean:+.3f}" if apart else "",
                f"{interval[0]:+.3f} to {interval[1]:+.3f}" if interval else "",
                point.rank or "",
            )
            rows.append(cells)
        return rows

    @classmethod
    def of(cls, points: Sequence[StartPoint], rows: Mapping[int, TrialRow]) -> Self:
        """Gather the trials of a confirming study by candidate.

        Args:
            points: Of the study, from slot 0 on: `under_seeds`.
            rows: Its trials by their slots.
        """
        seeds = tuple(dict.fromkeys(_seed(point) for point in points))
        first = points[: len(points) // len(seeds)]
        ended = [_by_seed(points, rows, place, len(first)) for place in range(len(first))]
        scores = [{seed: value for seed, (value, _) in each.items()} for each in ended]
        means = [mean(each.values()) if len(each) == len(seeds) else None for each in scores]
        before, after = _ranks([point.score for point in first]), _ranks(means)
        gathered = [
            ConfirmedPoint(
                trial=point.trial,
                values=_without_seed(point.values),
                before=point.score,
                scores=scores[place],
                best=min(ended[place].values())[1] if ended[place] else None,
                rank_before=before[place],
                rank=after[place],
                difference=_difference(scores[place], scores[0]) if place else None,
            )
            for place, point in enumerate(first)
        ]
        both = [
            (point.score, score)
            for point, score in zip(first[1:], means[1:], strict=True)
            if point.score is not None and score is not None
        ]
        return cls(
            candidates=tuple(sorted(gathered, key=_order)),
            base=gathered[0],
            seeds=seeds,
            agreement=rank_correlation([one for one, _ in both], [other for _, other in both]),
            pairs=len(both),
        )


def _by_seed(
    points: Sequence[StartPoint], rows: Mapping[int, TrialRow], place: int, count: int
) -> dict[int, tuple[float, int]]:
    """Value and number of each complete trial of one of `count` candidates, by its seed."""
    slots = range(place, len(points), count)
    return {
        _seed(points[slot]): (row.value, row.number)
        for slot in slots
        if (row := rows.get(slot)) is not None and row.value is not None
    }


def _difference(scores: Mapping[int, float], base: Mapping[int, float]) -> SeedDifference | None:
    differences = [score - base[seed] for seed, score in scores.items() if seed in base]
    if not differences:
        return None
    return SeedDifference(mean(differences), mean_interval(differences, LEVEL))


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


def seeds_of(spec: StudySpec, table: StudyTable) -> set[object]:
    """Every training seed that a study has used."""
    return {spec.base.training.seed, *(row.values.get(SEED) for row in table.trials)}
