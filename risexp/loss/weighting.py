"""The weighted total of the loss, and how its terms are balanced."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from risexp.config.learning import LossConfig
from risexp.errors import ConfigInvalid
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import MAIN, TERMS

Means = Mapping[str, Tensor]
"""Scalars by the name of their term."""
Weights = Mapping[str, float]


class Fixed(nn.Module):
    """Every term contributes its weight times its mean."""

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """The contribution of each term."""
        return {name: weights[name] * mean for name, mean in means.items()}


class Uncertainty(nn.Module):
    """Learned log-variances: w (exp(-s) term + s), which is least at s = log(term).

    (A. Kendall, Y. Gal, R. Cipolla, Multi-task learning using uncertainty to weigh losses, CVPR
    2018.)
    """

    def __init__(self, names: Iterable[str], limit: float = 5.0) -> None:
        """Create one variance for each term that has a weight in any epoch.

        Args:
            names: The terms.
            limit: Largest |s|; without it a vanishing term would dominate the total.
        """
        super().__init__()
        self.limit = limit
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in names}
        )

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """The contribution of each term, which may be negative."""
        return {name: weights[name] * self._balanced(name, mean) for name, mean in means.items()}

    def _balanced(self, name: str, mean: Tensor) -> Tensor:
        s: Tensor = self.log_variance[name].clamp(-self.limit, self.limit)
        return (-s).exp() * mean + s


class StructureShare(nn.Module):
    """Structure terms scaled to a share of the total; another balance weighs the main terms.

        w_i term_i min(share T / term_i, largest),   T = (sum of main w term) / (1 - share sum w_i)

    so that a structure term of weight w contributes w times the share of the total, T. The scale of
    a term is a constant to the gradient. It is bounded: a hinge that is nearly met fades out.
    """

    def __init__(self, share: float, main: nn.Module, largest: float = 100.0) -> None:
        """Wrap the balance of the main terms.

        Args:
            share: Share of the total of a structure term of weight one. Its weights times the share
                stay below one.
            main: The balance of the main terms.
            largest: Largest scale of a structure term, apart from its weight.
        """
        super().__init__()
        self.share = share
        self.main = main
        self.largest = largest

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """The contribution of each term; its weighted mean if there is no main term."""
        leading = {name: mean for name, mean in means.items() if name in MAIN}
        if not leading:
            return {name: weights[name] * mean for name, mean in means.items()}
        contributions: dict[str, Tensor] = self.main(leading, weights)
        structure = {name: mean for name, mean in means.items() if name not in MAIN}
        due = self._due(leading, weights, math.fsum(weights[name] for name in structure))
        return contributions | {
            name: weights[name] * mean * self._scale(due, mean) for name, mean in structure.items()
        }

    def _due(self, leading: Means, weights: Weights, structure_weight: float) -> Tensor:
        """The contribution of a structure term of weight one."""
        main = [weights[name] * mean.detach().double() for name, mean in leading.items()]
        return torch.stack(main).sum() * (self.share / (1.0 - self.share * structure_weight))

    def _scale(self, due: Tensor, mean: Tensor) -> Tensor:
        return (due / mean.detach().clamp(min=1e-30)).clamp(max=self.largest)


Balance = Fixed | Uncertainty | StructureShare


def balance_of(config: LossConfig, names: Collection[str]) -> Balance:
    """The balance of a configuration, for the terms that have a weight in any epoch."""
    share = None if MAIN.issuperset(names) else config.structure_share
    learned = [name for name in names if name in MAIN or share is None]
    main = Uncertainty(learned) if config.balance == "uncertainty" else Fixed()
    return main if share is None else StructureShare(share, main)


@dataclass(frozen=True)
class Loss:
    """The loss of one batch; its parts are constants that stay on the device until read."""

    total: Tensor
    """Scalar float64, with its gradient."""
    terms: Mapping[str, Tensor]
    """Mean of each evaluated term, unweighted."""
    weighted: Mapping[str, Tensor]
    """Contribution of each term to the total."""


def weighted_loss(pair: PredictionPair, weights: Mapping[str, float], balance: Balance) -> Loss:
    """Sum weight * term over the terms whose weight is not zero; no other term is evaluated."""
    active = {name: weight for name, weight in weights.items() if weight != 0.0}
    if not active:
        raise ConfigInvalid(f"no term of the loss has a weight: set one of {', '.join(TERMS)}")
    means = {name: TERMS[name](pair).mean().double() for name in active}
    parts: dict[str, Tensor] = balance(means, active)
    total = torch.stack(list(parts.values())).sum()
    return Loss(total, _constants(means), _constants(parts))


def _constants(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in values.items()}
