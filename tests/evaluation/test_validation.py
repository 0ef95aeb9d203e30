"""How an epoch is judged, and beside what its scores stand."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator
from risexp.evaluation.scene_scores import Confusions, score_scenes
from risexp.evaluation.scores import summarise
from risexp.evaluation.validation import Validator
from risexp.evaluation.yardsticks import Yardsticks, frequencies
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.observation import Observation, Observer
from risexp.model.prediction import Prediction
from tests.support.localisation import scenes_of
from tests.support.looping import for_each
from tests.support.networks import awake, network_config, untrained

SCENES = 48


def judged(config: RunConfig, device: torch.device) -> Validator:
    return Validator.of(config, scenes_of(config, SCENES, device))


def half_of_the_count(answer: Prediction, _: Observation, scenes: Scenes) -> torch.Tensor:
    return 0.5 * scenes.truth.count.double().mean() + 0.0 * answer.count_logits.sum()


def test_scores_are_those_of_the_path_that_serves_beside_what_chance_would_get(
    device: torch.device,
) -> None:
    config = network_config()
    validator, network = judged(config, device), untrained(config, device)
    scenes = validator.groups[0].scenes
    serves = Predictor(network, Observer.of(config), Localiser.of(config), beta=0.0)

    scores = validator(network, 0.0, half_of_the_count)

    expected = dict(summarise(score_scenes(serves(scenes.frames), scenes.truth)).items())
    assert expected == {name: scores[name] for name in expected}
    assert math.isclose(0.5 * float(scenes.truth.count.double().mean()), scores["loss"])
    assert scores["k_acc"] < scores["k_majority"] + 0.2
    assert scores["count_nll"] > scores["count_nll_chance"] - 0.1
    assert scores["k_nomp"] > scores["k_acc"] + 0.1


def test_a_validation_tells_which_counts_it_took_for_which(device: torch.device) -> None:
    config, seen = network_config(), list[Confusions]()
    validator = replace(judged(config, device), tell=seen.append)

    scores = validator(untrained(config, device), 0.0, half_of_the_count)

    (told,) = seen
    whole = told.whole
    assert SCENES == int(whole.matrix.sum() + whole.none.sum() + whole.beyond.sum())
    assert math.isclose(scores["k_acc"], float(whole.matrix.diagonal().sum()) / SCENES)
    assert len(told.by_snr) > 1
    for name, table in vars(whole).items():
        parts = [vars(each)[name] for each in told.by_snr.values()]
        assert torch.equal(table, torch.stack(parts).sum(0))


def told_apart(answer: Prediction, seen: Observation, scenes: Scenes) -> torch.Tensor:
    """A loss to which every scene brings its own answer, SNR and count, none of them alike."""
    return (answer.count_logits.sum(-1) * seen.snr_db * scenes.truth.count).double().mean()


@pytest.mark.parametrize(("size", "sizes"), [(20, [20, 20, 8]), (47, [47, 1])])
def test_scores_are_the_same_however_scenes_are_grouped(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, size: int, sizes: list[int]
) -> None:
    config = network_config()
    network = awake(config, device, seed=2)
    together = judged(config, device)(network, 0.3, told_apart)

    monkeypatch.setattr("risexp.evaluation.validation._SCENES", size)
    validator = judged(config, device)
    scores = validator(network, 0.3, told_apart)

    assert sizes == [len(group.scenes) for group in validator.groups]
    assert {"loss", "k_acc", "blend_effect", "count_entropy"} < scores.keys()
    assert pytest.approx(scores, rel=1e-4, nan_ok=True) == together


def test_judging_leaves_a_network_as_it_was(device: torch.device) -> None:
    config = network_config("network.dropout=0.5")
    validator, network = judged(config, device), untrained(config, device).train()

    once, again = (validator(network, 0.0, half_of_the_count) for _ in range(2))

    assert network.training
    assert once == again


@for_each(("beta", "told"), [(0.0, False), (0.3, True)])
def test_the_effect_of_a_blend_is_told_where_there_is_one(
    device: torch.device, beta: float, told: bool
) -> None:
    config = network_config()
    validator, network = judged(config, device), untrained(config, device)

    scores = validator(network, beta, half_of_the_count)

    assert told == ("blend_effect" in scores)
    assert not told or scores["blend_effect"] > 0.01


def test_yardsticks_know_chance(device: torch.device) -> None:
    config = network_config()
    scenes = scenes_of(config, 300, device)

    known = Yardsticks.of(config, scenes)

    shares = frequencies(scenes.truth)
    assert math.isclose(1.0, sum(shares))
    assert max(shares) == known.k_majority
    assert math.isclose(math.log(3.0), known.count_nll_chance, abs_tol=0.02)
    assert known.k_majority < known.k_reference < known.k_nomp + 0.1


def test_the_same_scenes_are_measured_once_and_under_another_physics_anew(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = network_config(), list[int]()
    generator = SceneGenerator(config.physics, config.data, device)
    answer = Nomp.__call__

    def counted(nomp: Nomp, frames: Frames) -> Estimate:
        asked.append(len(frames))
        return answer(nomp, frames)

    def known(first: int) -> Yardsticks:
        return Yardsticks.of(config, generator.scenes("validation", first, 40))

    monkeypatch.setattr(Nomp, "__call__", counted)

    assert known(900) == known(900)
    assert [40] == asked
    assert known(900) != known(940)
    assert [40, 40] == asked
    other = config.replace({"physics.wavefront": "parabolic"})
    Yardsticks.of(other, generator.scenes("validation", 940, 40))
    assert [40, 40, 40] == asked
