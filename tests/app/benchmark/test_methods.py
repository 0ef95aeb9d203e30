"""The rows of the tables: what each may know, and what it answers."""

import itertools
from dataclasses import replace

import pytest
import torch

from risexp.app.benchmark.methods import METHODS, method_named, on_device
from risexp.data.frames import Scenes
from risexp.errors import ConfigInvalid
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.estimate import Estimate
from tests.support.localisation import (
    NOISELESS,
    at_snr,
    config_of,
    forged,
    identical,
    scenes_of,
    sound,
)
from tests.support.looping import for_each

LAWS = ("frame", "snapshot")


@for_each("name", METHODS)
@for_each("symbols", LAWS)
def test_a_method_answers_scenes_of_either_law_and_no_localiser_is_told_the_truth(
    device: torch.device, symbols: str, name: str
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")
    scenes, method = scenes_of(config, 8, device), method_named(name, config)

    estimate = method(scenes)

    assert sound(estimate)
    assert (8, 3) == tuple(estimate.count_probabilities.shape)
    assert device.type == estimate.phi_rad.device.type
    if name not in {"oracle", "music:true-k", "mvdr:true-k"}:
        assert identical(estimate, method(forged(scenes, 2)))


def test_a_method_answers_on_its_device_and_returns_the_answer_to_the_scenes(
    device: torch.device,
) -> None:
    config = config_of(preset="smoke")
    scenes, nomp = scenes_of(config, 4, torch.device("cpu")), method_named("nomp", config)
    seen: list[str] = []

    def watched(there: Scenes) -> Estimate:
        seen.append(there.frames.y.device.type)
        return nomp(there)

    estimate = on_device(watched, device)(scenes)

    assert [device.type] == seen
    assert "cpu" == estimate.phi_rad.device.type == estimate.count.device.type


@for_each("name", ["music:true-k", "mvdr:true-k"])
def test_a_method_told_the_count_is_told_nothing_else(device: torch.device, name: str) -> None:
    config = config_of(preset="smoke")
    scenes, method = scenes_of(config, 8, device), method_named(name, config)
    lying = forged(scenes, 2)
    honest = Scenes(lying.frames, replace(lying.truth, count=scenes.truth.count))

    assert identical(method(scenes), method(honest))
    assert [2] * 8 == method(lying).count.tolist()


@for_each("power", ["equal", "free_space"])
@for_each("symbols", LAWS)
def test_the_oracle_is_perfect_where_sources_stand_apart(
    device: torch.device, symbols: str, power: str
) -> None:
    config = config_of(
        f"physics.symbols={symbols}", f"physics.power={power}", "data.separation_deg=10"
    )
    scenes = scenes_of(config, 128, device)

    scores = summarise(score_scenes(method_named("oracle", config)(scenes), scenes.truth))

    assert (1.0, 1.0) == (scores.k_acc, scores.success_strict)
    assert pytest.approx(-1.0, abs=0.01) == scores.k_loc


def test_the_oracle_answers_the_truth_it_is_given(device: torch.device) -> None:
    config = config_of(preset="smoke")
    scenes = scenes_of(config, 8, device)

    found = method_named("oracle", config)(forged(scenes, 1))

    assert torch.allclose(torch.full((8,), 0.123).double(), found.phi_rad[:, 0].cpu(), atol=1e-3)
    assert torch.allclose(torch.full((8,), 7.7).double(), found.range_m[:, 0].cpu(), atol=0.1)


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all() -> None:
    for name, hint in (("nmop", "nomp"), ("music:true_k", "music:true-k")):
        with pytest.raises(
            ConfigInvalid, match=f"^there is no method '{name}'; did you mean {hint}"
        ):
            method_named(name, config_of())
    with pytest.raises(ConfigInvalid) as caught:
        method_named("quantum", config_of())
    assert all(known in str(caught.value) for known in METHODS)


def test_every_name_is_a_method_of_its_own(device: torch.device) -> None:
    """Two names for one localiser would be one row twice."""
    config = config_of(at_snr(5.0))
    scenes = scenes_of(config, 12, device)

    answers = {name: method_named(name, config)(scenes) for name in METHODS}

    pairs = itertools.combinations(METHODS, 2)
    assert [] == [(one, two) for one, two in pairs if identical(answers[one], answers[two])]


def test_every_field_a_receiver_may_know_changes_answers(device: torch.device) -> None:
    base = config_of(at_snr(0.0))
    scenes = scenes_of(base, 12, device)
    for change, name in (
        ("sampled.ridge=0.1", "music"),
        ("sampled.method=per_snapshot", "music"),
        ("covariance.alpha_base=0.9", "mvdr"),
        ("physics.power=equal", "nomp"),
        ("data.range_m=[2,10]", "nomp"),
        ("data.phi_deg=[-20,20]", "nomp"),
        ("data.theta_deg=[-5,5]", "music"),
        ("physics.wavefront=parabolic", "oracle"),
    ):
        configs = (base, config_of(at_snr(0.0), change))
        one, two = (method_named(name, config)(scenes) for config in configs)
        assert not identical(one, two), change


def test_without_noise_nomp_beats_every_spectrum_of_samples(device: torch.device) -> None:
    config = config_of("data.sources_max=1", NOISELESS)
    scenes = scenes_of(config, 64, device)

    errors = {
        name: summarise(score_scenes(method_named(name, config)(scenes), scenes.truth)).aoa_rmse
        for name in ("nomp", "music", "mvdr", "mdl")
    }

    assert "nomp" == min(errors, key=errors.__getitem__)
    assert errors["nomp"] < 1e-4
    assert max(errors["music"], errors["mvdr"]) < 1e-2
