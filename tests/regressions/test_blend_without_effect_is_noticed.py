"""Once: "hybrid blending FAILED" was concluded from runs in which nothing was ever blended."""

import pytest
import torch
from torch import Tensor

from risexp.callbacks.epoch_table import cells
from risexp.callbacks.learning_guards import BlendGuard
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from tests.support.recorded_runs import SCORES, Told, ended_of, guarded, plan_of
from tests.support.trainers import small_config

CONFIG = small_config()


def covariances(device: torch.device) -> tuple[FactoredCovariance, FactoredCovariance, Tensor]:
    """Predicted and sampled covariances of a few scenes, and their SNR."""
    scenes = SceneGenerator(CONFIG.physics, CONFIG.data, device).scenes("validation", 0, 16)
    frames, truth = scenes.frames, scenes.truth
    steering = source_steering(panel_of(CONFIG.physics), truth)
    predicted = FactoredCovariance.from_sources(steering, truth.powers)
    sampled = sampled_covariance("joint", frames.y, frames.channel, frames.codes, 1e-3)
    assert frames.snr_db is not None
    return predicted, sampled, frames.snr_db


def effect(device: torch.device, beta: float, *, samples: bool) -> float:
    """What blending changes, measured as a validation does; or where the samples were dropped."""
    predicted, sampled, snr_db = covariances(device)
    alone = effective(predicted, snr_db)
    blended = effective(predicted, snr_db, sampled if samples else None, beta)
    return float(blended.squared_distance(alone).mean().sqrt()) / predicted.elements


def run(beta: float, blend_effect: float) -> Told:
    plans = tuple(plan_of(epoch, beta=beta) for epoch in (1, 2))
    return Told(plans, lambda plan: ended_of(plan, {**SCORES, "blend_effect": blend_effect}))


@pytest.mark.parametrize("beta", [0.02, 0.3, 1.0])
def test_samples_that_were_dropped_are_noticed(device: torch.device, beta: float) -> None:
    outcome = guarded(run(beta, effect(device, beta, samples=False)), BlendGuard())

    assert ("blend", 4) == (outcome.reason, outcome.exit_code)
    assert f"epoch 1: beta is {beta:g}, and blending moves the covariance by" in outcome.sentence


@pytest.mark.parametrize("beta", [1e-4, 0.02, 0.3, 1.0])
def test_samples_that_are_used_end_nothing_however_small_beta(
    device: torch.device, beta: float
) -> None:
    assert "finished" == guarded(run(beta, effect(device, beta, samples=True)), BlendGuard()).reason


def test_a_beta_of_zero_is_no_blend_and_is_shown_as_such() -> None:
    assert "finished" == guarded(run(0.0, 0.0), BlendGuard()).reason
    assert "off" == cells(ended_of(plan_of(1)))["beta"]
