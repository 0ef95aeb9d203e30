"""The scores of groups: by hand, by plain loops, over subsets, and undefined over nothing."""

import json
import math
import statistics
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.evaluation.metrics import METRICS
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import Scores, summarise, weighted
from tests.support.estimates import (
    drawn_case,
    estimate_of,
    perfect,
    scores_of,
    shuffled_estimate,
    shuffled_truth,
    truth_of,
    with_count,
)
from tests.support.looping import for_each
from tests.support.scenes import any_device, uniform

SEEDS = st.integers(0, 10_000)


def test_every_score_by_hand(device: torch.device) -> None:
    here, there = (0.0, 0.0, 4.0), (40.0, 20.0, 7.0)
    truth = truth_of([here], [here, there], [here], device=device)
    estimate = estimate_of(
        [(4.0, 0.0, 4.5)], [(0.0, 2.0, 4.0)], [(0.0, 0.0, 4.0), (-50.0, 0.0, 9.0)], device=device
    )

    scores = scores_of(estimate, truth)

    third = 1 / 3
    assert pytest.approx([third] * 3) == [scores.k_acc, scores.k_under, scores.k_over]
    assert pytest.approx([third, 0.0]) == [scores.success_rate, scores.success_strict]
    assert pytest.approx(math.sqrt((4.0**2 + 2.0**2) / 6)) == scores.aoa_rmse
    assert pytest.approx(math.sqrt(0.5**2 / 3)) == scores.range_rmse
    assert pytest.approx([0.0, 4.0]) == [scores.aoa_median, scores.aoa_p95]
    assert pytest.approx([0.0, 0.5]) == [scores.range_median, scores.range_p95]
    assert pytest.approx([0.5 / 3] * 2) == [scores.gospa_missed, scores.gospa_false]


def test_perfect_answers_score_perfectly(device: torch.device) -> None:
    _, truth = drawn_case(1, scenes=50, device=device)

    scores = scores_of(perfect(truth), truth)

    best = {"k_loc": -1.0, "k_acc": 1.0, "success_rate": 1.0, "success_strict": 1.0}
    assert [] == [name for name, value in scores.items() if value != best.get(name, 0.0)]


@any_device
@given(seed=SEEDS, width=st.integers(1, 7))
def test_no_score_depends_on_the_order_of_the_sources(
    device: torch.device, seed: int, width: int
) -> None:
    estimate, truth = drawn_case(seed, width=width, device=device)
    expected = scores_of(estimate, truth)

    actual = scores_of(shuffled_estimate(estimate, seed), shuffled_truth(truth, seed + 1))

    for name, value in actual.items():
        assert pytest.approx(getattr(expected, name), nan_ok=True, abs=1e-9) == value, name


@any_device
@given(seed=SEEDS, width=st.integers(1, 7))
def test_scores_keep_to_their_own_logic(device: torch.device, seed: int, width: int) -> None:
    estimate, truth = drawn_case(seed, width=width, device=device)

    scores = scores_of(estimate, truth)

    assert pytest.approx(1.0) == scores.k_acc + scores.k_under + scores.k_over
    assert scores.success_strict <= scores.success_rate <= scores.k_acc
    assert -1.0 <= scores.k_loc <= 10.0
    parts = scores.gospa_localisation + scores.gospa_missed + scores.gospa_false
    assert pytest.approx(parts) == scores.gospa
    assert not scores.aoa_median > scores.aoa_p95


@for_each("share", [0.0, 0.3])
def test_percentiles_are_the_values_that_so_many_errors_do_not_exceed(share: float) -> None:
    estimate, truth = drawn_case(3, scenes=200)
    table = score_scenes(estimate, truth)[uniform(0.0, 1.0, 200, seed=1) >= share]
    errors = table.matching.errors[table.matching.matched].abs()
    angles = sorted(errors[:, :2].flatten().tolist())
    ranges = sorted(errors[:, 2].tolist())

    scores = summarise(table)

    assert statistics.median_low(angles) == scores.aoa_median
    assert statistics.median_low(ranges) == scores.range_median
    assert angles[math.ceil(0.95 * len(angles)) - 1] == scores.aoa_p95
    assert ranges[math.ceil(0.95 * len(ranges)) - 1] == scores.range_p95


def test_a_scene_of_weight_two_counts_like_the_scene_twice(device: torch.device) -> None:
    estimate, truth = drawn_case(4, scenes=20, device=device)
    table = score_scenes(estimate, truth)
    times = torch.arange(20, device=device) % 3

    counted = weighted(table, times.double().unsqueeze(0))

    repeated = summarise(table[torch.arange(20, device=device).repeat_interleave(times)])
    for name, value in repeated.items():
        assert pytest.approx(value) == float(counted[name]), name


def test_batches_joined_score_like_the_whole(device: torch.device) -> None:
    estimate, truth = drawn_case(6, scenes=30, device=device)
    batches = [score_scenes(estimate[k : k + 7], truth[k : k + 7]) for k in range(0, 30, 7)]

    joined = summarise(SceneScores.join(batches))

    assert scores_of(estimate, truth) == joined


def test_no_scene_has_no_score_rather_than_zero(device: torch.device) -> None:
    estimate, truth = drawn_case(7, device=device)

    scores = scores_of(estimate[:0], truth[:0])

    assert [] == [name for name, value in scores.items() if not math.isnan(value)]


def test_without_a_pair_errors_are_undefined_and_the_rest_is_not(device: torch.device) -> None:
    estimate, truth = drawn_case(8, device=device)

    scores = scores_of(with_count(estimate, torch.zeros_like(truth.count)), truth)

    undefined = {name for name, value in scores.items() if math.isnan(value)}
    errors = {"aoa_rmse", "range_rmse", "aoa_median", "aoa_p95", "range_median", "range_p95"}
    assert errors == undefined
    assert (0.0, 1.0, 10.0) == (scores.k_acc, scores.k_under, scores.k_loc)


def test_what_is_undefined_is_null_in_json() -> None:
    values: dict[str, float] = dict.fromkeys(METRICS, 0.5)
    scores = Scores(**(values | {"aoa_rmse": math.nan, "range_rmse": math.inf}))

    written = json.dumps(scores.as_json(), allow_nan=False)

    nulls = {name for name, value in json.loads(written).items() if value is None}
    assert {"aoa_rmse", "range_rmse"} == nulls


def test_every_score_is_described_and_every_description_is_of_a_score() -> None:
    declared = [field.name for field in fields(Scores)]

    assert declared == list(METRICS)
    assert [] == [name for name, metric in METRICS.items() if not metric.sentence.endswith(".")]


@for_each("name", METRICS)
def test_directions_point_away_from_finding_nothing(name: str) -> None:
    estimate, truth = drawn_case(9, scenes=200, width=7)
    off = replace(estimate, range_m=estimate.range_m + 3.0, phi_rad=estimate.phi_rad + 0.3)

    best, drawn = (getattr(scores_of(each, truth), name) for each in (perfect(truth), off))

    if METRICS[name].direction == "max":
        assert best > drawn
    else:
        assert best < drawn
