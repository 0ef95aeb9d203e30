"""What a front makes of an observation, whatever it is: a context, and a slot for each source."""

from dataclasses import dataclass

from torch import Tensor

from risexp.model.prediction import Heat


@dataclass(frozen=True)
class Features:
    """B scenes as a front has understood them."""

    context: Tensor
    """(B, D): the scene as a whole."""
    slots: Tensor
    """(B, K_MAX, D): one candidate each."""
    anchors: Tensor
    """(B, K_MAX, 3) float32: points (u, v, rho) that the slots start from."""
    log_power: Tensor
    """(B, K_MAX) float32: log of the power that a slot starts from."""
    heat: Heat | None = None
    """The map the anchors were taken from, of a front that draws one."""
