"""The count head: logits from eigenvalues, residual energies and the front's context."""

import torch
from torch import Tensor, nn

from risexp.config.learning import CountConfig
from risexp.config.learning import Front as FrontName
from risexp.covariance.factored import FactoredCovariance
from risexp.model.observation import Observation
from risexp.model.prediction import CountLaw
from risexp.model.pursuit_front import residual_features, residual_width


class CountHead(nn.Module):
    """A spectral and a direct path to the logits; a learned weight mixes them, first one half."""

    def __init__(self, config: CountConfig, law: CountLaw, width: int, front: FrontName) -> None:
        super().__init__()
        self.config, self.law = config, law
        if law.width == 0:
            return  # With one source at most there is no step to learn.
        size = spectral_width(law.sources_max)
        if front == "pursuit":
            size += residual_width(law.sources_max)
        if config.path != "direct":
            self.spectral = nn.Sequential(
                nn.Linear(size, width), nn.SiLU(), nn.Linear(width, law.width)
            )
        if config.path != "spectral":
            self.direct = nn.Sequential(
                nn.Linear(width, width), nn.SiLU(), nn.Linear(width, law.width)
            )
        if config.path == "both":
            self.mixture = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        observation: Observation,
        context: Tensor,
        existence: Tensor,
        effective: FactoredCovariance,
    ) -> Tensor:
        """Logits (B, C) for the law."""
        if self.law.width == 0:
            return context.new_zeros((len(context), 0))
        raw = self._raw(observation, context, effective)
        match self.law.kind:
            case "ordinal":
                return falling_logits(raw)
            case "softmax":
                return raw
            case "slots":
                return raw + existence

    def _raw(
        self, observation: Observation, context: Tensor, effective: FactoredCovariance
    ) -> Tensor:
        if self.config.path == "direct":
            direct: Tensor = self.direct(context)
            return direct
        seen = effective.detach() if self.config.detach_spectral else effective
        features = [spectral_features(seen, self.law.sources_max)]
        if observation.pursuit is not None:
            features.append(residual_features(observation.pursuit, observation.snr_db))
        spectral: Tensor = self.spectral(torch.cat(features, dim=-1))
        if self.config.path == "spectral":
            return spectral
        share = self.mixture.sigmoid()
        mixed: Tensor = share * spectral + (1.0 - share) * self.direct(context)
        return mixed


def falling_logits(raw: Tensor) -> Tensor:
    """Logits that fall by a learned, positive step: (B, C) to (B, C)."""
    steps = nn.functional.softplus(raw[:, 1:]).cumsum(-1)
    return torch.cat([raw[:, :1], raw[:, :1] - steps], dim=-1)


def spectral_width(most: int) -> int:
    """Number of spectral features for up to `most` sources."""
    return 4 * most + 1


def spectral_features(covariance: FactoredCovariance, most: int, eps: float = 1e-6) -> Tensor:
    """Features of the K_MAX + 1 largest eigenvalues, (B, 4 K_MAX + 1) float32.

    Log levels, log ratios of neighbours, cumulative shares, and log GM / AM of the tails, on which
    MDL and AIC rest. Values are clamped before a log or ratio, which could make NaN.
    """
    values = covariance.eigenvalues()[:, : most + 1]
    rest = covariance.diagonal.to(values).unsqueeze(-1).expand(-1, most + 1 - values.shape[-1])
    kept = (torch.cat([values, rest], dim=-1) / covariance.elements).clamp(min=eps)
    level = kept.log()
    share = kept.cumsum(-1) / kept.sum(-1, keepdim=True)
    tails = [level[:, k:].mean(-1) - kept[:, k:].mean(-1).log() for k in range(most)]
    ratios = level[:, :-1] - level[:, 1:]
    parts = [level / 4.0, ratios / 4.0, share[:, :most], torch.stack(tails, dim=-1) / 4.0]
    return torch.cat(parts, dim=-1).float()
