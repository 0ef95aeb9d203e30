"""The covariances people count sources with, and how many eigenvalues share their power."""

from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Frames
from risexp.physics.signals import Symbols


def covariances(symbols: Symbols, frames: Frames, ridge: float) -> dict[str, FactoredCovariance]:
    """By name: of the measurements themselves, and sampled over the panel.

    `received` is the M x M covariance of y over the snapshots, `per_snapshot` the N x N sampled
    one, `joint` the N x N one of the one field that held symbols leave. Fresh ones leave no such.
    """
    seen = frames.y, frames.channel, frames.codes, ridge
    found = {
        "received": FactoredCovariance.from_factor(frames.y.mT / frames.y.shape[1] ** 0.5),
        "per_snapshot": sampled_covariance("per_snapshot", *seen),
    }
    return found | ({"joint": sampled_covariance("joint", *seen)} if symbols == "frame" else {})


def effective_rank(eigenvalues: Tensor, eps: float = 1e-300) -> Tensor:
    """(tr R)^2 / |R|^2, (B,): how many equal eigenvalues would spread the power as much."""
    values = eigenvalues.double()
    return values.sum(-1).square() / values.square().sum(-1).clamp(min=eps)
