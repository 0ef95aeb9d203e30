"""Localisers on sampled covariances: their counts, and that every knob of theirs turns."""

from dataclasses import replace

import pytest
import torch

from risexp.covariance.sampled import Criterion, Method, order_scores, sampled_covariance
from risexp.estimation.receiver_model import ReceiverModel, snr_db_of
from risexp.inference.classical import Classical
from risexp.inference.spectral import Spectral
from tests.support.localisation import at_snr, config_of, scenes_of, with_frames
from tests.support.looping import for_each

CLEAR = (at_snr(30.0), "physics.power=equal", "data.sources_max=1")


def music(*overrides: str, method: Method = "joint", criterion: Criterion = "mdl") -> Classical:
    receiver = ReceiverModel.of(config_of(*overrides))
    return Classical(Spectral(receiver), method, ridge=1e-3, alpha_base=1e-3, criterion=criterion)


def test_one_clear_source_is_located_by_its_samples(device: torch.device) -> None:
    scenes = scenes_of(config_of(*CLEAR), 32, device)

    found = music(*CLEAR).locate(scenes.frames, scenes.truth.count)

    off = (found.phi_rad - scenes.truth.phi_rad).abs().rad2deg()
    assert float(off.max()) < 0.5
    assert float((found.range_m - scenes.truth.range_m).abs().median()) < 0.2


@for_each("criterion", ["mdl", "aic"])
def test_the_count_is_the_criterion_s_on_samples_of_each_snapshot(
    device: torch.device, criterion: Criterion
) -> None:
    frames = scenes_of(config_of(), 16, device).frames
    samples = sampled_covariance("per_snapshot", frames.y, frames.channel, frames.codes, 1e-3)
    scores = order_scores(criterion, samples.eigenvalues(), 16, 5)[:, 1:]

    found = music(criterion=criterion)(frames)

    assert (scores.argmin(-1) + 1).tolist() == found.count.tolist()
    weight = scores if criterion == "mdl" else 0.5 * scores
    assert torch.allclose((-weight).log_softmax(-1), found.count_probabilities.log(), rtol=1e-6)
    assert torch.equal(found.count_probabilities.argmax(-1) + 1, found.count)


def test_every_knob_turns_something(device: torch.device) -> None:
    scenes = scenes_of(config_of(at_snr(10.0)), 16, device)
    base = music()
    capon = replace(base, spectral=Spectral(base.spectral.receiver, "mvdr"))
    loaded = replace(capon, alpha_base=0.5)
    others = [replace(base, ridge=0.1), replace(base, method="per_snapshot"), capon, loaded]

    found = [each.locate(scenes.frames, scenes.truth.count) for each in (base, *others)]

    assert 5 == len({str(each.phi_rad.tolist()) for each in found})


def test_two_snapshots_show_one_source(device: torch.device) -> None:
    overrides = ("physics.snapshots=2", "physics.antennas=80")
    frames = scenes_of(config_of(*overrides), 4, device).frames

    found = music(*overrides)(frames)

    assert [1, 1, 1, 1] == found.count.tolist()
    assert torch.allclose(torch.ones(4).double(), found.confidence.cpu())


@for_each("snr_db", [0.0, 10.0, 25.0])
def test_an_snr_is_passed_on_or_estimated(device: torch.device, snr_db: float) -> None:
    scenes = scenes_of(config_of(at_snr(snr_db), preset="smoke"), 64, device)

    estimated = snr_db_of(with_frames(scenes, snr_db=None).frames, "frame")

    assert scenes.frames.snr_db is snr_db_of(scenes.frames, "frame")
    assert pytest.approx(snr_db, abs=0.5) == float(estimated.median())
    assert estimated.dtype == torch.float32
