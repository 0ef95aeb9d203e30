"""Rates of two answers under one draw of scenes: equal to the general way, and paired by slices."""

import math

import pytest
import torch

from risexp.errors import DataInvalid
from risexp.evaluation import paired as module
from risexp.evaluation.intervals import paired
from risexp.evaluation.paired import RATES, WHOLE, Mean, Slices, differences, means, rates
from tests.support.promotions import answered, counts

SCENES = 600


def test_differences_have_the_intervals_of_the_general_bootstrap() -> None:
    ours = answered(0.7, 0.45, seed=1, scenes=SCENES).scores
    theirs = answered(0.66, 0.44, seed=2, scenes=SCENES).scores

    found = means(differences(ours, theirs), Slices.of(counts(SCENES), None), resamples=1000)

    general = paired([ours], [theirs], resamples=1000)
    for rate in RATES:
        expected = [getattr(each, rate) for each in (general.value, general.low, general.high)]
        mean = found[rate][WHOLE]
        assert expected == pytest.approx([mean.value, mean.low, mean.high], abs=1e-12)


def test_what_is_hard_for_both_cancels() -> None:
    ours, theirs = (answered(share, 0.4, seed=3).scores for share in (0.72, 0.70))
    slices = Slices.of(counts(), None)

    apart = means(differences(ours, theirs), slices)["k_acc"][WHOLE]

    alone = means(rates(ours), slices)["k_acc"][WHOLE]
    assert 0.02 == pytest.approx(apart.value, abs=0.005)
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)


def test_a_slice_is_the_mean_of_its_own_scenes() -> None:
    table = answered(0.7, 0.4, seed=4, scenes=SCENES).scores
    snr_db = torch.linspace(-5.0, 20.0, SCENES)

    found = means(rates(table), Slices.of(counts(SCENES), snr_db))["k_acc"]

    assert table[counts(SCENES) == 2].hit.double().mean().item() == found["K = 2"].value
    low = table[snr_db < 0.0].hit.double().mean().item()
    assert pytest.approx(found["SNR below 0 dB"].value, abs=1e-12) == low
    assert all(each.low < each.value < each.high for each in found.values())


def test_scenes_that_are_all_alike_have_an_interval_of_no_width() -> None:
    column = {"one": torch.ones(50)}

    assert Mean(1.0, 1.0, 1.0) == means(column, Slices.of(counts(50), None))["one"][WHOLE]


def test_a_value_that_is_no_number_stays_none() -> None:
    column = {"x": torch.tensor([1.0, math.nan, 0.0, 1.0])}

    found = means(column, Slices.of(counts(4), None), resamples=200)["x"][WHOLE]

    assert math.isnan(found.value)
    assert [None, None] == [found.as_json()[0], None]


def test_memory_is_bounded_without_a_change_to_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, slices = rates(answered(scenes=50).scores), Slices.of(counts(50), None)
    expected = means(columns, slices, resamples=200)
    monkeypatch.setattr(module, "_CHUNK", 50 * 7)

    assert expected == means(columns, slices, resamples=200)


def test_answers_to_other_scenes_are_refused() -> None:
    ours, theirs = answered(scenes=8).scores, answered(scenes=9).scores

    with pytest.raises(DataInvalid, match="both answers to the same scenes"):
        differences(ours, theirs)
