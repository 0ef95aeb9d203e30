"""Once: the sampled covariance was useless, for three reasons at different times.

A noiseless single source tells them all. `joint` must return its field: overlap above .99. Of a
scene with fewer antennas than elements `per_snapshot` cannot: each x_l is the projection of the
field on M of N dimensions, so M / N of the energy lies along it, where chance puts 1 / N. With as
many antennas as elements its overlap is above .99 too.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.config.measurement import PhysicsConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Frames
from tests.support.scenes import DEFAULT_PHYSICS, noiseless_sources

Estimate = Callable[[Frames], FactoredCovariance]
SQUARE = PhysicsConfig(elements_h=4, elements_v=4)
"""As many elements as antennas."""
SCENES = 32


def joint(frames: Frames) -> FactoredCovariance:
    return sampled_covariance("joint", frames.y, frames.channel, frames.codes, ridge=1e-3)


def per_snapshot(frames: Frames) -> FactoredCovariance:
    return sampled_covariance("per_snapshot", frames.y, frames.channel, frames.codes, ridge=1e-3)


def less_the_mean(frames: Frames) -> FactoredCovariance:
    y = frames.y - frames.y.mean(-2, keepdim=True)
    return joint(replace(frames, y=y))


def conjugated(frames: Frames) -> FactoredCovariance:
    return FactoredCovariance.from_factor(joint(frames).factor.conj())


def with_conjugate_codes(frames: Frames) -> FactoredCovariance:
    return joint(replace(frames, codes=frames.codes.conj()))


def summed_from_h_c(frames: Frames) -> FactoredCovariance:
    return FactoredCovariance.from_factor(from_h_c(frames).factor.sum(-1, keepdim=True))


def snapshots_less_their_mean(frames: Frames) -> FactoredCovariance:
    fields = per_snapshot(frames).factor
    return FactoredCovariance.from_factor(fields - fields.mean(-1, keepdim=True))


def snapshots_conjugated(frames: Frames) -> FactoredCovariance:
    return FactoredCovariance.from_factor(per_snapshot(frames).factor.conj())


def from_h_c(frames: Frames) -> FactoredCovariance:
    """Each snapshot matched to the vector H c_l, which has lost the elements."""
    seen = frames.codes @ frames.channel.mT
    matched = (seen.conj() * frames.y).sum(-1) / seen.abs().square().sum(-1)
    return FactoredCovariance.from_factor((frames.codes.conj() * matched.unsqueeze(-1)).mT)


def least_overlap(
    estimate: Estimate, device: torch.device, physics: PhysicsConfig = DEFAULT_PHYSICS
) -> float:
    """|u^H x| / |x| of the top eigenvector, in the worst scene."""
    scenes, field = noiseless_sources(physics, SCENES, device)
    top = estimate(scenes.frames).signal_subspace(1)[..., :1]
    return float(((top.mH @ field.unsqueeze(-1)).abs().flatten() / field.norm(dim=-1)).min())


def mean_share(estimate: Estimate, device: torch.device) -> float:
    """x^H R x / (|x|^2 tr R), in the mean over scenes."""
    scenes, field = noiseless_sources(DEFAULT_PHYSICS, SCENES, device)
    factor = estimate(scenes.frames).factor
    along = (factor.mH @ field.unsqueeze(-1)).abs().square().sum((-2, -1))
    total = factor.abs().square().sum((-2, -1)) * field.abs().square().sum(-1)
    return float((along / total).mean())


def test_joint_returns_the_field_of_a_noiseless_source_and_no_wrong_estimate_does(
    device: torch.device,
) -> None:
    assert least_overlap(joint, device) > 0.99
    for fault in (less_the_mean, conjugated, with_conjugate_codes, summed_from_h_c):
        assert least_overlap(fault, device) < 0.98, fault


def test_per_snapshot_holds_as_much_of_the_field_as_its_antennas_see(
    device: torch.device,
) -> None:
    assert least_overlap(per_snapshot, device, SQUARE) > 0.99
    assert pytest.approx(16 / 144, rel=0.15) == mean_share(per_snapshot, device)
    for fault in (snapshots_less_their_mean, snapshots_conjugated, from_h_c):
        assert least_overlap(fault, device, SQUARE) < 0.9, fault
        assert mean_share(fault, device) < 0.03, fault
