"""What a localiser answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from risexp.errors import DataInvalid


@dataclass(frozen=True)
class Estimate:
    """How many sources B scenes hold and where they stand; one count, which positions follow.

    Slots beyond a scene's count are NaN, in whatever width S the localiser works.
    """

    count: Tensor
    """(B,) int64: K^, 0 .. S"""
    count_probabilities: Tensor
    """(B, K_MAX) real, of K = 1 .. K_MAX; rows sum to one."""
    phi_rad: Tensor
    """(B, S) float64"""
    theta_rad: Tensor
    """(B, S) float64"""
    range_m: Tensor
    """(B, S) float64"""

    def __post_init__(self) -> None:
        batch, slots = self.phi_rad.shape
        alike = self.theta_rad.shape == self.range_m.shape == (batch, slots)
        if not alike or self.count.shape != (batch,) or len(self.count_probabilities) != batch:
            raise DataInvalid("an estimate needs one count a scene and positions of one shape")
        if bool(self.count_probabilities.isnan().any()):
            raise DataInvalid("an estimate's count probabilities hold a value that is no number")

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, scenes: slice) -> "Estimate":
        return Estimate(*(value[scenes] for value in vars(self).values()))

    @property
    def present(self) -> Tensor:
        """(B, S) bool: which slots hold a source."""
        slots = torch.arange(self.phi_rad.shape[1], device=self.count.device)
        return slots < self.count.unsqueeze(-1)

    @property
    def confidence(self) -> Tensor:
        """Probability of the answered count, (B,); zero where none was answered."""
        place = (self.count - 1).clamp(0, self.count_probabilities.shape[1] - 1).unsqueeze(-1)
        return self.count_probabilities.gather(-1, place).squeeze(-1) * (self.count > 0)

    def to(self, device: torch.device | str) -> "Estimate":
        """The same answer on another device."""
        return Estimate(*(value.to(device) for value in vars(self).values()))


def joined(parts: list[Estimate]) -> Estimate:
    """Scenes laid one after another."""
    values = zip(*(vars(part).values() for part in parts), strict=True)
    return Estimate(*(torch.cat(each) for each in values))
