"""Scenarios: they disturb what they say, and nothing else."""

import math

import pytest
import torch
from torch import Tensor

from risexp.app.benchmark.robustness.scenarios import (
    SCENARIOS,
    Scenario,
    ScenarioLevel,
    chosen_scenarios,
)
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of, source_steering
from risexp.errors import ConfigInvalid
from risexp.physics.signals import received
from tests.support.accuracy import SMOKE, snr_of
from tests.support.disturbed_scenes import clean, noise
from tests.support.looping import for_each
from tests.support.robustness import BUILT, drawn

FIELDS = ("wavefront", "amplitude", "amplitude-near", "phase", "dead", "label")
"""Scenarios that leave the sources and what they send as they are."""


@for_each("name", SCENARIOS)
def test_a_scenario_disturbs_what_it_says_and_alike_in_any_batch(name: str) -> None:
    scenario = BUILT[name]
    scenes, calm = drawn(scenario), level_of(scenario, scenario.undisturbed)
    before = calm.disturb(scenes)
    unchanged = list[str]()
    for level in scenario.levels:
        after, alone = level.disturb(scenes), level.disturb(scenes[7:9])
        torch.testing.assert_close(after[7:9].frames.y, alone.frames.y, rtol=1e-4, atol=0.0)
        for field in ("count", "phi_rad", "theta_rad", "range_m") if name != "pairs" else ():
            assert_same_bits(getattr(scenes.truth, field), getattr(after.truth, field))
        same_scenes = torch.equal(before.frames.y, after.frames.y)
        if same_scenes and torch.equal(snr_of(before), snr_of(after)):
            unchanged += [level.name] if level.receiver == calm.receiver else []
    assert [scenario.undisturbed] == unchanged
    if name != "pairs":
        for one, other in zip(values(scenes), values(before), strict=True):
            assert_same_bits(one, other)


@for_each("name", FIELDS)
def test_a_wrong_belief_leaves_the_truth_and_the_noise(name: str) -> None:
    scenario = BUILT[name]
    scenes = drawn(scenario)

    for level in scenario.levels:
        heard = level.disturb(scenes)
        assert heard.truth is scenes.truth
        assert heard.frames.channel is scenes.frames.channel
        assert heard.frames.codes is scenes.frames.codes
        if name != "label":
            assert heard.frames.snr_db is scenes.frames.snr_db


def test_phase_errors_cost_coherence_as_a_normal_law_says() -> None:
    scenario = BUILT["phase"]
    scenes = drawn(scenario, 200)
    before = clean(scenes)
    for degrees in (10, 40):
        after = clean_of(scenes, level_of(scenario, f"{degrees}").disturb(scenes))
        coherence = (before.conj() * after).sum((-2, -1)).real / before.abs().square().sum((-2, -1))
        expected = math.exp(-(math.radians(degrees) ** 2) / 2.0)
        assert expected == pytest.approx(float(coherence.mean()), abs=0.01)


def test_dead_elements_take_their_share_of_the_energy() -> None:
    scenario = BUILT["dead"]
    scenes = drawn(scenario, 200)
    before = clean(scenes)
    for percent in (10, 20):
        after = clean_of(scenes, level_of(scenario, f"{percent}").disturb(scenes))
        kept = after.abs().square().sum((-2, -1)) / before.abs().square().sum((-2, -1))
        assert 1.0 - percent / 100.0 == pytest.approx(float(kept.mean()), abs=0.02)


def test_what_is_dead_stays_dead_at_the_next_level() -> None:
    """The field of a dead element is the same difference at every level it is dead at."""
    scenario = BUILT["dead"]
    scenes = drawn(scenario, 60)

    some, more = (
        level_of(scenario, level).disturb(scenes).frames.y - scenes.frames.y
        for level in ("1", "20")
    )

    harmed = some.abs().sum((-2, -1)) > 0.0
    assert 0.1 < float(harmed.double().mean()) < 0.6
    assert bool((more.abs().sum((-2, -1)) > 0.0)[harmed].all())


def test_the_scenario_of_amplitudes_is_the_formula() -> None:
    scenario = BUILT["amplitude-near"]
    scenes = drawn(scenario)
    panel = panel_of(SMOKE.physics)
    h_m, v_m = panel.positions()
    phi, theta, r = (
        each.nan_to_num(nan=1.0).unsqueeze(-1)
        for each in (scenes.truth.phi_rad, scenes.truth.theta_rad, scenes.truth.range_m)
    )
    across, up = r * phi.sin() * theta.cos() - h_m, r * theta.sin() - v_m
    distance = (across.square() + up.square() + (r * phi.cos() * theta.cos()).square()).sqrt()

    heard = level_of(scenario, "1/distance").disturb(scenes)

    steering = source_steering(panel, scenes.truth) * (r / distance)
    field = (scenes.truth.gains.to(steering.dtype) @ steering).to(torch.complex64)
    expected = received(scenes.frames.channel, scenes.frames.codes, field)
    torch.testing.assert_close(expected, clean_of(scenes, heard), rtol=1e-3, atol=1e-7)
    assert float(scenes.truth.range_m.nan_to_num(nan=1.0).max()) <= 2.0


def test_receivers_believe_what_the_scenario_says() -> None:
    models = {level.name: level.receiver.physics.wavefront for level in BUILT["wavefront"].levels}
    powers = {level.name: level.receiver.physics.power for level in BUILT["power"].levels}

    assert {name: name for name in models} == models
    assert {"free_space": "free_space", "equal": "free_space", "equal, told": "equal"} == powers
    for name in ("amplitude", "phase", "dead", "pairs", "label"):
        assert {SMOKE.sha()} == {level.receiver.sha() for level in BUILT[name].levels}


def test_scenarios_of_fresh_symbols_and_true_waves_bring_their_own_law() -> None:
    parabolic = SMOKE.replace({"physics.wavefront": "parabolic", "sampled.method": "joint"})

    built = chosen_scenarios(["wavefront", "coherent", "phase"], parabolic)

    assert "spherical" == built["wavefront"].config.physics.wavefront
    assert "snapshot" == built["coherent"].config.physics.symbols
    assert parabolic == built["phase"].config


def test_invalid_scenarios_are_refused() -> None:
    for names, sentence in (
        ([], "names none"),
        (["phse"], "did you mean phase"),
        (["dead", "dead"], "dead twice"),
    ):
        with pytest.raises(ConfigInvalid, match=sentence):
            chosen_scenarios(names, SMOKE)
    with pytest.raises(ConfigInvalid, match=r"pairs needs data.sources_max >= 2"):
        chosen_scenarios(["pairs"], SMOKE.replace({"data.sources_max": 1}))


def values(scenes: Scenes) -> list[Tensor]:
    return [value for _, value in [*scenes.frames.items(), *scenes.truth.items()]]


def assert_same_bits(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def level_of(scenario: Scenario, name: str) -> ScenarioLevel:
    return next(level for level in scenario.levels if level.name == name)


def clean_of(scenes: Scenes, heard: Scenes) -> Tensor:
    """What is heard once the noise of the undisturbed scenes is taken away."""
    return heard.frames.y - noise(scenes)
