"""Candidates and their scores under several seeds, with rows in and numbers out."""

import json
from collections.abc import Mapping, Sequence

import pytest
from pydantic import JsonValue

from risexp.hpo.studies.confirmation import (
    Confirmation,
    ConfirmedPoint,
    candidates,
    seeds_of,
    under_seeds,
)
from risexp.hpo.studies.start import StartPoint
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.derived import SEED
from risexp.space.study_spec import StudySpec
from tests.support.searches import LR, RATE
from tests.support.spaces import planted, spec_of

BASE = {LR: 3e-3}
"""Of the preset `smoke`."""


def row(number: int, value: float | None, values: Mapping[str, JsonValue] = BASE) -> TrialRow:
    if value is None:
        return TrialRow(number, "failed", "ValueError", 1, 0, None, None, None, values, None)
    return TrialRow(number, "complete", "finished", 1, 3, value, value, value, values, None)


def rates(**more: object) -> StudySpec:
    return spec_of(planted({**RATE, **more}, base="smoke"))


def table(*rows: TrialRow) -> StudyTable:
    return StudyTable("s", len(rows), None, rows)


def best_of(spec: StudySpec, *rows: TrialRow, top: int = 5) -> list[tuple[int, float | None]]:
    """Numbers and scores of the candidates."""
    return [(point.trial, point.score) for point in candidates(spec, table(*rows), top)]


def confirmed(
    before: Sequence[float | None], now: Sequence[Sequence[float | None]]
) -> Confirmation:
    """Candidates 0, 1, ... with these scores before, and now by seed."""
    seeds = list(range(1, len(now[0]) + 1))
    points = under_seeds(
        [
            StartPoint({LR: 1e-3 * (each + 1)}, "s", each, score)
            for each, score in enumerate(before)
        ],
        seeds,
    )
    by_seed = [score for seed in zip(*now, strict=True) for score in seed]
    rows = {slot: row(slot, score) for slot, score in enumerate(by_seed)}
    return Confirmation.of(points, rows)


def by_trial(found: Confirmation) -> dict[int, ConfirmedPoint]:
    return {each.trial: each for each in found.candidates}


def test_the_base_comes_first_and_the_best_others_after_it_none_of_them_twice() -> None:
    rows = (row(0, 2.0), row(1, 3.0, {LR: 1e-3}), row(2, 1.0, {LR: 2e-3}), row(3, None, {LR: 4e-3}))
    twice = (row(0, 2.0), row(1, 1.0), row(2, 3.0, {LR: 1e-3}), row(3, 4.0, {LR: 1e-3}))

    assert [(0, 2.0), (2, 1.0), (1, 3.0)] == best_of(rates(), *rows, top=2)
    assert [(0, 2.0), (2, 1.0)] == best_of(rates(), *rows, top=1)
    assert BASE == candidates(rates(), table(*rows), 1)[0].values
    assert [(0, None), (1, 3.0)] == best_of(rates(), row(0, None), row(1, 3.0, {LR: 1e-3}))
    assert [(1, 1.5), (2, 3.5)] == best_of(rates(), *twice)


def test_trials_that_differ_in_their_seed_alone_are_one_candidate_with_their_mean() -> None:
    spec = rates(**{SEED: {"kind": "choice", "options": [0, 1]}})
    same = (
        row(0, 2.0, {**BASE, SEED: 0}),
        row(1, 1.5, {**BASE, SEED: 1}),
        row(2, 3.0, {LR: 1e-3, SEED: 0}),
        row(3, 2.5, {LR: 1e-3, SEED: 1}),
    )
    lucky = (
        row(0, 2.0, {LR: 1e-3, SEED: 0}),
        row(1, 9.0, {LR: 1e-3, SEED: 1}),
        row(2, 3.0, {LR: 2e-3, SEED: 0}),
        row(3, 5.0, {LR: 2e-3, SEED: 1}),
    )

    assert [(1, 1.75), (3, 2.75)] == best_of(spec, *same)
    assert [BASE, {LR: 1e-3}] == [point.values for point in candidates(spec, table(*same), 5)]
    assert [(0, None), (2, 4.0)] == best_of(spec, *lucky, top=1)
    assert {0, 1} == seeds_of(spec, table(*same))


def test_means_ranks_and_differences_are_over_the_seeds() -> None:
    found = confirmed(
        [4.0, 1.0, 2.0, 3.0], [[3.0, 3.2, 3.4], [3.1, 3.0, 3.2], [2.0, 2.4, 2.8], [9.0, 5.0, 7.0]]
    )

    assert [2, 1, 0, 3] == [each.trial for each in found.candidates]
    told = by_trial(found)
    assert (found.base, None) == (told[0], told[0].difference)
    best = told[2]
    assert (found.best, 2, 1) == (best, best.rank_before, best.rank)
    assert (2.4, (2.0, 2.8)) == (best.mean, best.range)
    assert {1: 2.0, 2: 2.4, 3: 2.8} == best.scores
    assert 2 == best.best
    assert best.difference is not None
    assert -0.8 == pytest.approx(best.difference.mean)
    # Of -1.0, -0.8, -0.6: s = 0.2, and 4.3027 * 0.2 / sqrt(3) = 0.4968.
    assert (-1.2968, -0.3032) == pytest.approx(best.difference.interval, abs=1e-4)


def test_the_search_is_judged_by_the_order_it_found_of_all_but_the_base() -> None:
    now = [[0.5, 0.5], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]

    found, unscored = (confirmed([base, 1.0, 2.0, 3.0], now) for base in (9.0, None))

    assert (1.0, 3) == (found.agreement, found.pairs)
    assert -1.0 == pytest.approx(confirmed([9.0, 3.0, 2.0, 1.0], now).agreement)
    assert (4, 1) == (found.base.rank_before, found.base.rank)
    assert (None, 1) == (unscored.base.rank_before, unscored.base.rank)
    assert (None, 2) == (confirmed([9.0, 1.0, 2.0], now[:3]).agreement, 2)


def test_what_lost_a_seed_has_no_rank_and_is_compared_over_the_others() -> None:
    found = confirmed([2.0, 1.0, 3.0], [[5.0, 6.0, 7.0], [1.0, None, 2.0], [6.0, 6.0, 6.0]])

    assert [0, 2, 1] == [each.trial for each in found.candidates]
    lost = by_trial(found)[1]
    assert (None, {1: 1.0, 3: 2.0}, 1.5) == (lost.rank, lost.scores, lost.mean)
    assert lost.difference is not None
    assert -4.5 == lost.difference.mean
    assert (None, 1) == (found.agreement, found.pairs)
    assert found.best == found.base


def test_every_candidate_has_the_first_seed_before_any_has_the_second() -> None:
    points = under_seeds(
        [StartPoint(BASE, "s", 0, 1.0), StartPoint({LR: 1e-3}, "s", 4, 2.0)], [7, 8]
    )

    found = Confirmation.of(points, {0: row(0, 3.0)})

    assert [(0, 7, 1.0), (4, 7, 2.0), (0, 8, 1.0), (4, 8, 2.0)] == [
        (each.trial, each.values[SEED], each.score) for each in points
    ]
    assert found.best is None
    assert [{7: 3.0}, {}] == [each.scores for each in found.candidates]
    nothing = found.candidates[1]
    assert [None] * 4 == [nothing.mean, nothing.range, nothing.best, nothing.difference]


def test_one_shared_seed_makes_no_interval_and_a_confirmation_is_json() -> None:
    found = confirmed([1.0, None], [[5.0, None], [4.0, 3.0]])

    apart = by_trial(found)[1].difference
    assert apart is not None
    assert (-1.0, None) == (apart.mean, apart.interval)
    document = found.as_json()
    assert document == json.loads(json.dumps(document, allow_nan=False))
    assert {"1": 4.0, "2": 3.0} == document["candidates"][0]["k_loc_by_seed"]
