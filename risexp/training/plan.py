"""The plan of one epoch, made before the run: the only source of a weight or a beta."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.section import one_sentence
from risexp.config.training import Part, Phase
from risexp.errors import DataInvalid

PARTS: Final[tuple[Part, ...]] = get_args(Part)


@dataclass(frozen=True)
class Plan:
    """One epoch: its phase, its beta, every weight of the loss, and what may move."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    epoch: int
    """Counted from 1."""
    phase: Phase
    beta: float
    """Share of the samples in the blend, jitter included."""
    weights: Mapping[str, float]
    """Of every term of the loss by its name, zeros included."""
    rates: Mapping[Part, float]
    """Factor on the learning rate of each part; a part at zero is frozen."""
    judged: bool
    """Whether this epoch may be the best: all ramps are over."""

    @property
    def frozen(self) -> tuple[Part, ...]:
        """The parts that do not move."""
        return tuple(part for part, rate in self.rates.items() if rate == 0.0)

    @property
    def active(self) -> dict[str, float]:
        """The terms that are evaluated, and their weights."""
        return {name: weight for name, weight in self.weights.items() if weight != 0.0}

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "epoch": self.epoch,
            "phase": self.phase,
            "beta": self.beta,
            "weights": dict(self.weights),
            "rates": dict(self.rates),
            "judged": self.judged,
        }

    @staticmethod
    def from_json(document: object) -> "Plan":
        """The plan that `as_json` wrote."""
        try:
            return _PLAN.validate_json(json.dumps(document), strict=True)
        except ValidationError as error:
            raise DataInvalid(f"this is no plan of an epoch: {one_sentence(error)}") from None


_PLAN: Final = TypeAdapter(Plan)
