"""Once: the sampled covariance was useless, for three reasons at different times.

A noiseless single source tells them all. `joint` must return its field: overlap above .99. Of a
scene with fewer antennas than elements `per_snapshot` cannot: each x_l is the projection of the
field on M of N dimensions, so M / N of the energy lies along it, where chance puts 1 / N. With as
many antennas as elements its overlap is above .99 too.
"""

from collections.abc import Callable

import pytest
import torch

from risexp.config.measurement import PhysicsConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import joint_field, sampled_covariance, snapshot_fields
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


def joint_less_the_mean(frames: Frames) -> FactoredCovariance:
    y = frames.y - frames.y.mean(-2, keepdim=True)
    field = joint_field(y, frames.channel, frames.codes, ridge=1e-3)
    return FactoredCovariance.from_factor(field.unsqueeze(-1))


def joint_conjugated(frames: Frames) -> FactoredCovariance:
    field = joint_field(frames.y, frames.channel, frames.codes, ridge=1e-3)
    return FactoredCovariance.from_factor(field.conj().unsqueeze(-1))


def joint_with_conjugate_codes(frames: Frames) -> FactoredCovariance:
    field = joint_field(frames.y, frames.channel, frames.codes.conj(), ridge=1e-3)
    return FactoredCovariance.from_factor(field.unsqueeze(-1))


def joint_from_h_c(frames: Frames) -> FactoredCovariance:
    return FactoredCovariance.from_factor(from_h_c(frames).factor.sum(-1, keepdim=True))


def snapshots_less_their_mean(frames: Frames) -> FactoredCovariance:
    fields = snapshot_fields(frames.y, frames.channel, frames.codes, ridge=1e-3)
    return FactoredCovariance.from_factor((fields - fields.mean(-2, keepdim=True)).mT)


def snapshots_conjugated(frames: Frames) -> FactoredCovariance:
    fields = snapshot_fields(frames.y, frames.channel, frames.codes, ridge=1e-3)
    return FactoredCovariance.from_factor(fields.conj().mT)


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


def test_joint_returns_the_field_of_a_noiseless_source(device: torch.device) -> None:
    assert least_overlap(joint, device) > 0.99


@pytest.mark.parametrize(
    "fault", [joint_less_the_mean, joint_conjugated, joint_with_conjugate_codes, joint_from_h_c]
)
def test_the_overlap_betrays_every_wrong_joint_estimate(
    device: torch.device, fault: Estimate
) -> None:
    assert least_overlap(fault, device) < 0.98


def test_per_snapshot_returns_the_field_where_there_are_antennas_enough(
    device: torch.device,
) -> None:
    assert least_overlap(per_snapshot, device, SQUARE) > 0.99


def test_per_snapshot_holds_the_share_of_the_field_that_its_antennas_see(
    device: torch.device,
) -> None:
    assert pytest.approx(16 / 144, rel=0.15) == mean_share(per_snapshot, device)


@pytest.mark.parametrize("fault", [snapshots_less_their_mean, snapshots_conjugated, from_h_c])
def test_overlap_and_share_betray_every_wrong_per_snapshot_estimate(
    device: torch.device, fault: Estimate
) -> None:
    assert least_overlap(fault, device, SQUARE) < 0.9
    assert mean_share(fault, device) < 0.03
