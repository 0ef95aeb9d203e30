"""What a localiser knows before it hears anything: the panel, the view, and the laws."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from risexp.config.run import RunConfig
from risexp.data.scenes import panel_of
from risexp.estimation.view import View
from risexp.physics.geometry import Panel
from risexp.physics.signals import PowerLaw, Symbols, path_amplitude


@dataclass(frozen=True)
class ReceiverModel:
    """Geometry, field of view, and how symbols and powers are drawn; nothing about one scene."""

    panel: Panel
    view: View
    symbols: Symbols
    power: PowerLaw

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """What a configuration lets its receiver know."""
        physics = config.physics
        return cls(panel_of(physics), View.of(config.data), physics.symbols, physics.power)

    def mean_power(self, range_m: Tensor) -> Tensor:
        """Mean power of a source at a range."""
        return path_amplitude(self.power, range_m, self.panel.wavelength_m).square()
