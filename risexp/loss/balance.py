"""How terms are weighed against each other: as given, by learned variances, or by their shares."""

import math
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from risexp.config.learning import LossConfig
from risexp.loss.terms import MAIN

Means = Mapping[str, Tensor]
"""Scalars by the name of their term."""
Weights = Mapping[str, float]


class Fixed(nn.Module):
    """Every term contributes its weight times its mean."""

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """What each term contributes to the total."""
        return {name: weights[name] * mean for name, mean in means.items()}


class Uncertainty(nn.Module):
    """Learned log-variances: w (exp(-s) term + s), which is least at s = log(term).

    (A. Kendall, Y. Gal, R. Cipolla, Multi-task learning using uncertainty to weigh losses, CVPR
    2018.)
    """

    def __init__(self, names: Iterable[str], limit: float = 5.0) -> None:
        """One variance a term.

        Args:
            names: Every term that has a weight in any epoch.
            limit: Largest |s|: a term that vanishes would otherwise take the total without end.
        """
        super().__init__()
        self.limit = limit
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in names}
        )

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """What each term contributes to the total, which may be negative."""
        return {name: weights[name] * self._weighed(name, mean) for name, mean in means.items()}

    def _weighed(self, name: str, mean: Tensor) -> Tensor:
        s: Tensor = self.log_variance[name].clamp(-self.limit, self.limit)
        return (-s).exp() * mean + s


class StructureShare(nn.Module):
    """Main terms as another balance weighs them; each structure term by its share of the total.

        w_i term_i min(share T / term_i, largest),   T = (sum of main w term) / (1 - share sum w_i)

    so that a structure term of weight w contributes w times the share of the total, T. What scales
    a term is a constant to the gradient. It is bounded: a hinge that is nearly met fades out in
    place of being blown up.
    """

    def __init__(self, share: float, main: nn.Module, largest: float = 100.0) -> None:
        """Around the balance of the main terms.

        Args:
            share: Of the total, that a structure term of weight one contributes. Its weights times
                this stay below one.
            main: The balance of the main terms.
            largest: Factor that no structure term is scaled beyond, its weight apart.
        """
        super().__init__()
        self.share = share
        self.main = main
        self.largest = largest

    def forward(self, means: Means, weights: Weights) -> dict[str, Tensor]:
        """What each term contributes to the total; its weighted mean where nothing is main."""
        leading = {name: mean for name, mean in means.items() if name in MAIN}
        if not leading:
            return {name: weights[name] * mean for name, mean in means.items()}
        found: dict[str, Tensor] = self.main(leading, weights)
        shaped = {name: mean for name, mean in means.items() if name not in MAIN}
        due = self._due(leading, weights, math.fsum(weights[name] for name in shaped))
        return found | {
            name: weights[name] * mean * self._factor(due, mean) for name, mean in shaped.items()
        }

    def _due(self, leading: Means, weights: Weights, asked: float) -> Tensor:
        """What a structure term of weight one contributes, where weights of `asked` are shared."""
        main = [weights[name] * mean.detach().double() for name, mean in leading.items()]
        return torch.stack(main).sum() * (self.share / (1.0 - self.share * asked))

    def _factor(self, due: Tensor, mean: Tensor) -> Tensor:
        return (due / mean.detach().clamp(min=1e-30)).clamp(max=self.largest)


Balance = Fixed | Uncertainty | StructureShare


def balance_of(config: LossConfig, names: Collection[str]) -> Balance:
    """The balance a configuration asks for.

    Args:
        config: The loss.
        names: Every term that has a weight in any epoch.
    """
    share = None if MAIN.issuperset(names) else config.structure_share
    learned = [name for name in names if name in MAIN or share is None]
    main = Uncertainty(learned) if config.balance == "uncertainty" else Fixed()
    return main if share is None else StructureShare(share, main)
