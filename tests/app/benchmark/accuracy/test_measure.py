"""The table of accuracies: the same scenes for all, and numbers that mean what they say."""

import math
import time

import pytest
import torch
from torch import Tensor

from risexp.app.benchmark.accuracy.measure import (
    AccuracyTable,
    average,
    chosen_methods,
    median_at_bound,
    over_crb_db,
)
from risexp.app.benchmark.methods import Method
from risexp.app.benchmark.timing import dense_null_spectrum
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.evaluation.intervals import Interval, bootstrap_jointly
from risexp.evaluation.references import references
from risexp.evaluation.scene_scores import score_scenes
from risexp.inference.estimate import Estimate
from tests.support.accuracy import SCENES, SMOKE, accurate, measured, snr_of
from tests.support.estimates import drawn_case, estimate_at
from tests.support.scenes import gaussian, worst


@pytest.fixture(scope="module")
def table() -> AccuracyTable:
    return measured()


def test_who_knows_is_right_everywhere_and_who_is_wrong_gets_nothing(table: AccuracyTable) -> None:
    right, wrong = table.rows["accurate"], table.rows["wrong"]

    assert [1.0, 1.0] == [score.value.k_acc for score in right.by_level]
    assert [1.0, 1.0] == [score.value.success_rate for score in right.by_level]
    mean = right.mean
    assert (1.0, 1.0, -1.0) == (mean.value.k_acc, mean.value.success_rate, mean.low.k_loc)
    assert [0.0, 0.0] == [score.value.k_acc for score in wrong.by_level]
    assert (0.0, 0.0) == (wrong.mean.value.success_rate, wrong.mean.high.success_rate)
    assert all(math.isnan(value) for over in table.rows["silent"].over_crb_db for value in over)


def test_every_method_hears_the_same_scenes_at_every_snr() -> None:
    one: list[Scenes] = []
    other: list[Scenes] = []

    measured({"one": listening(one), "other": listening(other)})

    for here, there in zip(one, other, strict=True):
        assert torch.equal(here.frames.y, there.frames.y)
    loud, quiet = (scenes for scenes in one if len(scenes) == SCENES)
    assert torch.equal(loud.truth.symbols, quiet.truth.symbols)
    assert torch.equal(loud.frames.channel, quiet.frames.channel)
    assert [{-5.0}, {10.0}] == [set(snr_of(each).tolist()) for each in (loud, quiet)]


def test_scenes_are_the_first_of_the_split_in_whole_batches() -> None:
    told: list[int] = []

    table = measured({"accurate": accurate}, snr_db=(0.0,), scenes=260, advance=told.append)

    config = SMOKE.replace({"data.snr_db": [0.0, 0.0]})
    expected = SceneGenerator(config.physics, config.data).scenes("test", 0, 260)
    (scores,) = table.rows["accurate"].scores
    assert torch.equal(expected.truth.count, scores.matching.true_count)
    assert [256, 256, 4, 4] == told
    assert 260 == len(table.levels[0].references) == len(table.levels[0].source_snr_db)


def test_the_mean_is_that_over_snr_and_an_interval_contains_its_value(table: AccuracyTable) -> None:
    for row in table.rows.values():
        for name, value in row.mean.value.items():
            expected = average([dict(score.value.items())[name] for score in row.by_level])
            assert expected == pytest.approx(value, nan_ok=True)
        for interval in (*row.by_level, row.mean):
            for low, value, high in ends(interval):
                assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


def test_a_scene_is_drawn_at_all_snrs_together() -> None:
    """What is equally hard at two SNRs is no surer in their mean than at one of them."""
    scores = score_scenes(*drawn_case(3, scenes=40))

    (alone, _), both = bootstrap_jointly([scores, scores])

    torch.testing.assert_close(torch.tensor(ends(alone)), torch.tensor(ends(both)))


def test_a_mean_over_different_scenes_is_refused() -> None:
    one, other = (score_scenes(*drawn_case(seed, scenes=40)) for seed in (3, 4))

    with pytest.raises(DataInvalid, match="same scenes"):
        bootstrap_jointly([one, other])


def test_references_are_of_the_very_scenes(table: AccuracyTable) -> None:
    config = SMOKE.replace({"data.snr_db": [10.0, 10.0]})
    scenes = SceneGenerator(config.physics, config.data).scenes("test", 0, SCENES)
    expected = references(config.physics, config.data, scenes).means()

    for name in ("k_reference", "k_bound", "success_reference"):
        assert getattr(expected, name) == table.references[name][1]
    assert (1 / 3, 1 / 3) == table.references["k_chance"]
    assert (0.0, 0.0) == table.references["success_chance"]


def test_errors_twice_as_large_are_six_decibel_further_from_the_bound() -> None:
    table = measured({"accurate": accurate}, snr_db=(60.0,))
    (level,) = table.levels
    scenes = SceneGenerator(SMOKE.physics, SMOKE.data).scenes("test", 0, SCENES)

    at_bound, doubled = (
        over_crb_db(score_scenes(shifted(scenes, factor * level.deviation), scenes.truth), level)
        for factor in (0.6745, 2 * 0.6745)
    )

    further = [two - one for one, two in zip(at_bound, doubled, strict=True)]
    assert [6.02, 6.02, 6.02] == pytest.approx(further, abs=0.01)


def test_the_median_at_the_bound_is_that_of_errors_drawn_there() -> None:
    """Deviations that differ by orders of magnitude: 0.6745 of their median would be 2 dB off."""
    deviation = torch.logspace(-3, 1, 401, dtype=torch.float64).unsqueeze(-1)
    drawn = deviation * torch.randn(401, 2000, generator=torch.Generator().manual_seed(0))

    found = float(median_at_bound(deviation)[0])

    assert pytest.approx(float(drawn.abs().median()), rel=0.02) == found
    assert abs(found / float(0.6745 * deviation.median()) - 1.0) > 0.2


def test_times_are_milliseconds_of_the_method_alone() -> None:
    def slow(scenes: Scenes) -> Estimate:
        time.sleep(0.004)
        return accurate(scenes)

    table = measured({"slow": slow}, snr_db=(0.0, 10.0))

    row = table.rows["slow"]
    assert row.ms_single >= 4.0
    assert all(each >= 4.0 / SCENES for each in row.ms_per_scene)
    assert table.dense_ms / row.mean_ms == table.dense_ratio("slow") > 0.0


def test_the_dense_twin_computes_the_null_spectrum() -> None:
    covariance = FactoredCovariance(gaussian(3, 16, 5, seed=1), torch.full((3,), 0.1))
    steering = gaussian(16, 30, seed=2) / 4.0
    count = torch.tensor([1, 3, 5])

    spectrum = dense_null_spectrum(covariance, count, steering)

    assert worst(covariance.music(steering, count), spectrum) < 1e-9


def test_methods_that_are_unknown_none_or_named_twice_are_refused() -> None:
    for names, sentence in (
        (["nmop"], r"'nmop'.*nomp"),
        ([], "names none"),
        (["nomp", "nomp"], "twice"),
    ):
        with pytest.raises(ConfigInvalid, match=sentence):
            chosen_methods(names, SMOKE)


def listening(heard: list[Scenes]) -> Method:
    def method(scenes: Scenes) -> Estimate:
        heard.append(scenes)
        return accurate(scenes)

    return method


def ends(interval: Interval) -> list[tuple[float, float, float]]:
    """Lower end, value and upper end of every score."""
    low, value, high = (
        vars(each).values() for each in (interval.low, interval.value, interval.high)
    )
    return list(zip(low, value, high, strict=True))


def shifted(scenes: Scenes, off: Tensor) -> Estimate:
    """The truth, off by (deg, deg, m)."""
    phi_deg, theta_deg, range_m = off.unbind(-1)
    truth = scenes.truth
    return estimate_at(
        truth.count,
        truth.phi_rad + phi_deg.deg2rad(),
        truth.theta_rad + theta_deg.deg2rad(),
        truth.range_m + range_m,
    )
