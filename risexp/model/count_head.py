"""The count, from what eigenvalues and residual energies show and what the front understood."""

import torch
from torch import Tensor, nn

from risexp.config.learning import CountConfig
from risexp.config.learning import Front as FrontName
from risexp.covariance.factored import FactoredCovariance
from risexp.model.counting import CountLaw
from risexp.model.observation import Observation
from risexp.model.pursuit_front import profile, profile_width


class CountHead(nn.Module):
    """Two paths to the logits, mixed by a learned weight that starts at one half."""

    def __init__(self, config: CountConfig, law: CountLaw, width: int, front: FrontName) -> None:
        super().__init__()
        self.config, self.law = config, law
        if law.width == 0:
            return  # Of one source at most no step is to be told, and nothing to be learned.
        size = spectral_width(law.sources_max)
        if front == "pursuit":
            size += profile_width(law.sources_max)
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
        """Logits (B, C) as the law reads them."""
        if self.law.width == 0:
            return context.new_zeros((len(context), 0))
        raw = self._raw(observation, context, effective)
        match self.law.kind:
            case "ordinal":
                return falling(raw)
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
        if observation.glance is not None:
            features.append(profile(observation.glance, observation.snr_db))
        spectral: Tensor = self.spectral(torch.cat(features, dim=-1))
        if self.config.path == "spectral":
            return spectral
        share = self.mixture.sigmoid()
        mixed: Tensor = share * spectral + (1.0 - share) * self.direct(context)
        return mixed


def falling(raw: Tensor) -> Tensor:
    """Logits that fall from each to the next by a learned, positive step: (B, C) to (B, C)."""
    steps = nn.functional.softplus(raw[:, 1:]).cumsum(-1)
    return torch.cat([raw[:, :1], raw[:, :1] - steps], dim=-1)


def spectral_width(most: int) -> int:
    """How many numbers describe the eigenvalues where up to `most` sources are counted."""
    return 4 * most + 1


def spectral_features(covariance: FactoredCovariance, most: int, eps: float = 1e-6) -> Tensor:
    """The K_MAX + 1 largest eigenvalues as a count head can read them, (B, 4 K_MAX + 1) float32.

    Log levels, log ratios of neighbours, cumulative shares, and log GM / AM of the tails, which is
    what MDL and AIC are made of. All is clamped before its log or ratio, where NaN would come from.
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
