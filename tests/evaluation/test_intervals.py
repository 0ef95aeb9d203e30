"""Bootstrap intervals: repeatable, as wide as they should be, paired where scenes are shared."""

import math

import pytest
import torch

from risexp.errors import DataInvalid
from risexp.evaluation import intervals
from risexp.evaluation.intervals import bootstrap, paired
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from tests.support.estimates import drawn_case, estimate_at, perfect


def table_of(
    seed: int, scenes: int = 400, *, shift_m: float = 0.0, device: torch.device | str = "cpu"
) -> SceneScores:
    """Random answers to random scenes, all estimates moved away by so many metres."""
    estimate, truth = drawn_case(seed, scenes=scenes, device=device)
    moved = estimate_at(
        estimate.count, estimate.phi_rad, estimate.theta_rad, estimate.range_m + shift_m
    )
    return score_scenes(moved, truth)


def test_the_value_lies_between_the_ends(device: torch.device) -> None:
    table = table_of(1, device=device)

    interval = bootstrap(table)

    assert summarise(table) == interval.value
    outside = [
        name
        for name, value in interval.value.items()
        if not getattr(interval.low, name) <= value <= getattr(interval.high, name)
    ]
    assert [] == outside


def test_the_same_seed_gives_the_same_interval(device: torch.device) -> None:
    table = table_of(2, scenes=50, device=device)

    assert bootstrap(table, seed=3) == bootstrap(table, seed=3)
    assert bootstrap(table, seed=3) != bootstrap(table, seed=4)


def test_memory_is_bounded_without_a_change_to_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = table_of(3, scenes=50)
    expected = bootstrap(table, resamples=64)
    monkeypatch.setattr(intervals, "_CHUNK", 50 * 5 * 2 * 7)

    actual = bootstrap(table, resamples=64)

    for name, value in expected.low.items():
        assert pytest.approx(value) == getattr(actual.low, name), name


def test_a_rate_has_the_width_of_its_binomial_law() -> None:
    table = table_of(4, scenes=1000)

    interval = bootstrap(table)

    rate = interval.value.k_acc
    expected = 2 * 1.96 * math.sqrt(rate * (1 - rate) / 1000)
    assert pytest.approx(expected, rel=0.1) == interval.high.k_acc - interval.low.k_acc


def test_intervals_cover_the_score_of_all_scenes() -> None:
    everything = table_of(5, scenes=4000)
    truth = summarise(everything)
    names = ("k_loc", "k_acc", "aoa_rmse", "range_median", "range_p95", "gospa")
    found = [bootstrap(everything[k : k + 100], resamples=300) for k in range(0, 4000, 100)]

    covered = {
        name: sum(
            getattr(each.low, name) <= getattr(truth, name) <= getattr(each.high, name)
            for each in found
        )
        for name in names
    }

    # 40 trials at 95 %: fewer than 32 would happen once in ten thousand times.
    assert [] == [name for name, times in covered.items() if times < 32]


def test_a_wider_level_gives_a_wider_interval() -> None:
    table = table_of(6)

    narrow, wide = bootstrap(table, level=0.5), bootstrap(table, level=0.99)

    assert wide.low.k_loc < narrow.low.k_loc < narrow.high.k_loc < wide.high.k_loc


def test_a_difference_is_known_better_than_its_two_sides(device: torch.device) -> None:
    ours, theirs = table_of(7, device=device), table_of(7, shift_m=0.05, device=device)
    alone = bootstrap(ours)

    difference = paired([ours], [theirs])

    expected = alone.value.k_loc - summarise(theirs).k_loc
    assert pytest.approx(expected) == difference.value.k_loc
    assert difference.low.k_loc <= expected <= difference.high.k_loc
    paired_width = difference.high.k_loc - difference.low.k_loc
    assert paired_width < 0.3 * (alone.high.k_loc - alone.low.k_loc)


def test_an_answer_differs_from_itself_by_exactly_nothing() -> None:
    table = table_of(8)

    difference = paired([table], [table])

    assert {0.0} == {value for _, value in difference.low.items()}
    assert {0.0} == {value for _, value in difference.high.items()}


def test_answers_to_other_scenes_are_not_compared() -> None:
    with pytest.raises(DataInvalid, match="same scenes"):
        paired([table_of(9)], [table_of(10)])
    with pytest.raises(DataInvalid, match="400 and 399 scenes"):
        paired([table_of(9)], [table_of(9)[:399]])


def test_an_undefined_score_has_an_undefined_interval(device: torch.device) -> None:
    table = table_of(11, scenes=20, device=device)[:0]

    written = bootstrap(table, resamples=10).as_json()

    assert {(None, None)} == {(low, high) for low, high in written.values()}


def test_resamples_without_a_pair_are_left_out() -> None:
    _, truth = drawn_case(12, scenes=3)
    count = torch.tensor([1, 0, 0])
    found = perfect(truth)
    answered = estimate_at(count, found.phi_rad, found.theta_rad, found.range_m)

    interval = bootstrap(score_scenes(answered, truth))

    assert (0.0, 0.0) == (interval.low.aoa_rmse, interval.high.aoa_rmse)
