"""Once: "hybrid blending FAILED" was concluded from runs in which nothing was ever blended."""

import pytest
import torch

from risexp.callbacks.learning_guards import BlendGuard
from risexp.covariance.effective import effective
from risexp.covariance.sampled import sampled_covariance
from tests.support.recorded_runs import SCORES, Told, ended_of, guarded, plan_of
from tests.support.scenes import SMALL, label_covariance, tiny_scenes


def effect(device: torch.device, beta: float, *, samples: bool) -> float:
    """What blending changes, measured as a validation does; or where the samples were dropped."""
    scenes = tiny_scenes(16, physics=SMALL, device=device)
    predicted, frames = label_covariance(scenes, SMALL), scenes.frames
    sampled = sampled_covariance("joint", frames.y, frames.channel, frames.codes, 1e-3)
    assert frames.snr_db is not None
    alone = effective(predicted, frames.snr_db)
    blended = effective(predicted, frames.snr_db, sampled if samples else None, beta)
    return float(blended.squared_distance(alone).mean().sqrt()) / predicted.elements


def run(beta: float, blend_effect: float) -> Told:
    plans = tuple(plan_of(epoch, beta=beta) for epoch in (1, 2))
    return Told(plans, lambda plan: ended_of(plan, {**SCORES, "blend_effect": blend_effect}))


@pytest.mark.parametrize("beta", [1e-4, 0.02, 0.3, 1.0])
def test_samples_that_were_dropped_end_the_run_however_small_beta(
    device: torch.device, beta: float
) -> None:
    used, dropped = (
        guarded(run(beta, effect(device, beta, samples=samples)), BlendGuard())
        for samples in (True, False)
    )

    assert "finished" == used.reason
    assert ("blend", 4) == (dropped.reason, dropped.exit_code)
    assert f"epoch 1: beta is {beta:g}, and blending moves the covariance by" in dropped.sentence
