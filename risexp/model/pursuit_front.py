"""The pursuit front: each source of the quick pursuit is a token, and so is the scene."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from risexp.config.learning import NetworkConfig
from risexp.estimation.pursuit import QuickPursuit
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Attention, Features
from risexp.model.observation import Observation

_SOURCE = 9
"""Features of one pursued source."""
_LOG_SPAN = (-12.0, 18.0)
"""Bounds on the log of a power ratio."""


class PursuitFront(nn.Module):
    """A transformer over the sources of the quick pursuit."""

    reach: Final = 0.05
    """Largest shift of a slot: the pursuit is nearly right but for weak or close sources."""

    def __init__(self, receiver: ReceiverModel, config: NetworkConfig) -> None:
        super().__init__()
        self.receiver = receiver
        most = receiver.view.sources_max
        self.source = nn.Linear(_SOURCE + residual_width(most), config.width)
        self.scene = nn.Linear(residual_width(most), config.width)
        self.rank = nn.Parameter(0.02 * torch.randn(most, config.width))
        self.trunk = nn.Sequential(
            *(Attention(config.width, config.heads, config.dropout) for _ in range(config.depth))
        )
        self.out = nn.LayerNorm(config.width)

    def forward(self, observation: Observation) -> Features:
        """Features of B scenes."""
        seen = observation.pursuit
        if seen is None:
            message = "the pursuit front needs observations with a search"
            raise ValueError(message)
        scene = residual_features(seen, observation.snr_db)
        spread = scene.unsqueeze(1).expand(-1, seen.points.shape[1], -1)
        sources = torch.cat([self._sources(seen), spread], dim=-1)
        tokens = torch.cat(
            [self.scene(scene).unsqueeze(1), self.source(sources) + self.rank], dim=1
        )
        tokens = self.out(self.trunk(tokens))
        power = seen.powers / seen.powers.sum(-1, keepdim=True).clamp(min=1e-30)
        return Features(
            context=tokens[:, 0],
            slots=tokens[:, 1:],
            anchors=seen.points,
            log_power=power.clamp(min=1e-12).log().float(),
        )

    def _sources(self, seen: QuickPursuit) -> Tensor:
        """Position, power over the law and over the noise, and certainty: (B, K_MAX, 9)."""
        view, noise = self.receiver.view, seen.noise_power.unsqueeze(-1)
        powers = seen.powers.clamp(min=1e-30)
        expected = self.receiver.mean_power(seen.points[..., 2].double().reciprocal())
        gained = seen.misfit[:, :-1] - seen.misfit[:, 1:]
        low = torch.tensor([view.u[0], view.v[0], view.rho[0]], device=noise.device)
        extent = torch.tensor(view.extent, device=noise.device)
        place = (seen.points - low) / extent * 2.0 - 1.0
        logs = [
            _log(powers / expected),
            _log(powers / noise),
            _log(powers / seen.power_spread.clamp(min=1e-30)),
            _log(gained.clamp(min=0.0) / noise),
            _log(powers / powers.amax(-1, keepdim=True)),
        ]
        nearest = _nearest(place).log().clamp(min=-6.0)
        return torch.cat([place, torch.stack(logs, dim=-1).float(), nearest.unsqueeze(-1)], dim=-1)


def residual_width(most: int) -> int:
    """Number of residual features of a pursuit of `most` sources."""
    return 2 + 2 * (most + 1) + most


def residual_features(seen: QuickPursuit, snr_db: Tensor) -> Tensor:
    """Residual over noise after each source of a pursuit: (B, 2 + 2 (K_MAX + 1) + K_MAX).

    Once all sources are explained, the residual energy over the noise is m +- sqrt(m).
    """
    noise = seen.noise_power.unsqueeze(-1)
    left = (seen.misfit / (noise * seen.samples)).clamp(min=math.exp(_LOG_SPAN[0]))
    excess = (left - 1.0) * math.sqrt(seen.samples)
    gained = (seen.misfit[:, :-1] - seen.misfit[:, 1:]).clamp(min=0.0) / noise
    parts = [left.log(), excess.clamp(-6.0, 6.0), _log(gained)]
    level = snr_db.unsqueeze(-1) / 10.0
    return torch.cat([level, level.square() / 4.0, *(part.float() for part in parts)], dim=-1)


def _nearest(place: Tensor) -> Tensor:
    """Distance of each source to its nearest neighbour, (B, K_MAX)."""
    gaps = (place.unsqueeze(2) - place.unsqueeze(1)).square().sum(-1)
    own = torch.eye(place.shape[1], device=place.device) * 10.0
    return (gaps + own).amin(-1).clamp(min=1e-9).sqrt()


def _log(ratio: Tensor) -> Tensor:
    """Log of a power ratio, clamped, at unit scale."""
    low, high = _LOG_SPAN
    return ratio.clamp(min=1e-30).log().clamp(low, high) / 4.0
