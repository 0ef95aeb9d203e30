"""The factor head: from slots to the two factors of a covariance, and to pointers.

    A = [sqrt(p_k) a_k],   C = [sqrt(p_k) w_k a'_k]

with a_k the wave from the slot's point, p_k its power, a'_k the unit slope of the wave along rho,
and w_k in (0, 1) the uncertainty of its range. `free` columns are arbitrary but for the power that
their slot starts from.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from risexp.config.learning import FactorKind
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Features, perceptron
from risexp.model.prediction import Pointers
from risexp.physics.geometry import angles
from risexp.physics.steering import steering_slopes

_LOG_POWER = (-16.0, 4.0)
"""Bounds on the log of a slot's power, beyond any power that occurs."""


@dataclass(frozen=True)
class Factors:
    """The columns of a prediction and its pointers."""

    angle: Tensor
    """A, (B, N, K_MAX) complex64."""
    range: Tensor
    """C, (B, N, K_MAX) complex64."""
    pointers: Pointers


class FactorHead(nn.Module):
    """Moves each slot from its anchor, gives it a power, and writes its wave into the factors."""

    def __init__(self, receiver: ReceiverModel, kind: FactorKind, width: int, reach: float) -> None:
        super().__init__()
        self.receiver, self.kind, self.reach = receiver, kind, reach
        elements = receiver.panel.elements
        if kind != "spectrum":
            self.shift = perceptron(width, width, 3)
        self.existence = perceptron(width, width, 1)
        if kind == "free":
            self.columns = nn.Linear(width, 4 * elements)
        else:
            self.doubt = perceptron(width, width, 1)
        if kind == "pointers":
            self.power = perceptron(width, width, 1)
            # The scale of all powers is normalised away: a bias would learn from rounding alone.
            self.power[-1].register_parameter("bias", None)

    def forward(self, features: Features) -> Factors:
        """Factors and pointers of B scenes."""
        points = self._points(features)
        existence = self.existence(features.slots).squeeze(-1)
        phi, theta = angles(points[..., 0], points[..., 1])
        pointers = Pointers(phi, theta, points[..., 2], existence)
        log_power = features.log_power
        if self.kind == "pointers":
            moved = self.power(features.slots).squeeze(-1)
            log_power = log_power + moved + nn.functional.logsigmoid(existence)
        strength = (0.5 * log_power.clamp(*_LOG_POWER)).exp().unsqueeze(-1)
        if self.kind == "free":
            real = self.columns(features.slots).unflatten(-1, (2, -1, 2))
            angle, ranged = torch.view_as_complex(real.contiguous()).unbind(2)
            scale = strength / math.sqrt(self.receiver.panel.elements)
            return Factors((scale * angle).mT, (scale * ranged).mT, pointers)
        wave, *_, slope = steering_slopes(self.receiver.panel, *points.unbind(-1))
        length = slope.detach().abs().square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt()
        doubt = self.doubt(features.slots).sigmoid()
        return Factors((strength * wave).mT, (strength * doubt * (slope / length)).mT, pointers)

    def _points(self, features: Features) -> Tensor:
        """Points (B, K_MAX, 3) around the anchors, inside the view."""
        if self.kind == "spectrum":
            return self.receiver.view.clamp(features.anchors)
        extent = torch.tensor(self.receiver.view.extent, device=features.slots.device)
        shift = self.shift(features.slots).tanh() * (self.reach * extent)
        return self.receiver.view.clamp(features.anchors + shift)
