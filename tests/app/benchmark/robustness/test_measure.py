"""A table of what disturbances cost: its scenes, its receivers, and what is lost."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from risexp.app.benchmark.methods import Method
from risexp.app.benchmark.robustness.document import robustness_result
from risexp.app.benchmark.robustness.measure import (
    RobustnessRow,
    RobustnessTable,
    measure_robustness,
)
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.inference.estimate import Estimate
from tests.support.accuracy import SMOKE, accurate
from tests.support.estimates import perfect
from tests.support.robustness import BUILT, measured


def fallible(scenes: Scenes) -> Estimate:
    """The truth, but for one scene of three whose range comes out as no number."""
    broken = torch.arange(len(scenes)) % 3 == 0
    truth = scenes.truth
    return replace(
        perfect(truth), range_m=truth.range_m.masked_fill(broken.unsqueeze(-1), math.nan)
    )


@pytest.fixture(scope="module")
def table() -> RobustnessTable:
    return measured("wavefront", "pairs", "label")


def test_methods_that_know_lose_nothing_and_methods_that_trust_lose_all(
    table: RobustnessTable,
) -> None:
    label = outcome_of(table, "label")

    for name, level in label.answers.items():
        calm = name == "0"
        lost = level["moody"].lost
        assert (lost is None) == calm
        assert (1.0 if calm else 0.0) == level["moody"].interval.value.success_rate
        assert 1.0 == level["accurate"].interval.value.success_rate
        if lost is not None:
            assert (1.0, 1.0) == (lost.value.success_rate, lost.low.success_rate)
    assert 0.0 == label.answers["+3"]["silent"].interval.value.success_rate


def test_scenes_are_the_first_of_the_split_that_hold_enough_sources() -> None:
    heard: list[Scenes] = []

    def listening(scenes: Scenes) -> Estimate:
        heard.append(scenes)
        return accurate(scenes)

    measured("label", methods={"one": listening}, scenes=260)
    measured("coherent", methods={"one": listening}, scenes=260)

    config = BUILT["label"].config.replace({"data.snr_db": [10.0, 10.0]})
    expected = SceneGenerator(config.physics, config.data).scenes("test", 0, 260)
    first = [each for each in heard if each.truth.symbols.shape[1] == 1]
    assert torch.equal(expected.frames.y[:256], first[0].frames.y)
    assert [256, 4] == [len(each) for each in first[:: len(BUILT["label"].levels)]]
    coherent = [each for each in heard if each.truth.symbols.shape[1] > 1]
    assert 260 * len(BUILT["coherent"].levels) == sum(map(len, coherent))
    assert 2 == min(int(each.truth.count.min()) for each in coherent)


def test_methods_are_built_for_the_receiver_of_the_level() -> None:
    believed: list[str] = []

    def build(config: RunConfig) -> Mapping[str, Method]:
        believed.append(config.physics.wavefront)
        return {"accurate": accurate}

    measure_robustness(SMOKE, build, {"wavefront": BUILT["wavefront"]}, (10.0,), 2, lambda _: None)

    assert ["spherical", "fresnel", "parabolic"] == believed[-3:]


def test_what_is_no_number_is_no_source_and_is_counted() -> None:
    table = measured("wavefront", methods={"fallible": fallible}, scenes=30)

    (outcome,) = table.outcomes
    for level in outcome.answers.values():
        assert 10 == level["fallible"].broken
        assert 20 / 30 == pytest.approx(level["fallible"].interval.value.success_rate)
    assert "scored as no source: fallible 30" in next(iter(robustness_result(table).blocks)).title


def test_sources_are_found_in_the_bin_of_their_range() -> None:
    def shortsighted(scenes: Scenes) -> Estimate:
        """Far sources half as far away as they are."""
        truth = scenes.truth
        near = truth.range_m.where(truth.range_m < 4.0, 0.5 * truth.range_m)
        return replace(perfect(truth), range_m=near)

    table = measured("wavefront", methods={"shortsighted": shortsighted}, scenes=60)

    found = table.outcomes[0].found_by_range("fresnel", "shortsighted")
    assert ["below 1 m", "1 to 2 m", "2 to 4 m", "above 4 m"] == list(found)
    assert [1.0, 1.0, 1.0, 0.0] == list(found.values())


def outcome_of(table: RobustnessTable, name: str) -> RobustnessRow:
    return next(outcome for outcome in table.outcomes if outcome.name == name)
