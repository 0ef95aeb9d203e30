"""Which keys of a journal are sent on: few enough for a page of charts, the rest stays there."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from risexp.runs.journal_format import Row
from risexp.runs.metrics import GUARDS, SYSTEM, Measure
from risexp.training.plan import Plan

LIMIT: Final = 50
"""Keys of a run; a page of charts with more is slow, and nobody reads it."""

_FIRST: Final = (
    "best/k_loc",
    "best/k_acc",
    "best/success_rate",
    "best/aoa_rmse",
    "best/range_rmse",
    "best/epoch",
    "val/k_loc",
    "val/k_acc",
    "val/k_acc_ratio",
    "val/k_under",
    "val/k_over",
    "val/success_rate",
    "val/success_ratio",
    "val/aoa_rmse",
    "val/range_rmse",
    "val/loss",
    "loss/total",
    "beta",
    "lr",
    "step/taken",
    "step/refused",
    "grad_norm",
    "delta_param",
    "scenes_per_s",
    "guard/nonfinite",
    "guard/refused",
    "guard/chance",
)
"""Those of every run, the most wanted first; terms, guards and the machine follow."""

DERIVED: Final[Mapping[str, Measure]] = {
    "best/epoch": Measure("", "none", "The best epoch so far."),
    "val/k_acc_ratio": Measure("", "max", "val/k_acc over val/k_reference."),
    "val/success_ratio": Measure("", "max", "val/success_rate over val/success_reference."),
    "guard/nonfinite": Measure("values", "min", "Values of the epoch that are no finite number."),
}
"""Keys that no journal holds: they follow from those that it does."""

_RATIOS: Final = {
    "val/k_acc_ratio": ("val/k_acc", "val/k_reference"),
    "val/success_ratio": ("val/success_rate", "val/success_reference"),
}


def selected_keys(plans: Iterable[Plan]) -> frozenset[str]:
    """The keys that are sent of a run, known before its first epoch."""
    terms = dict.fromkeys(name for plan in plans for name in plan.active)
    wanted = dict.fromkeys(
        [
            *_FIRST,
            *(f"sys/{name}" for name in SYSTEM),
            *(f"loss/{name}" for name in terms),
            *(f"weighted/{name}" for name in terms),
            *(f"guard/{name}" for name in GUARDS),
        ]
    )
    return frozenset([*wanted][:LIMIT])


def sent_values(row: Row, keys: frozenset[str]) -> dict[str, float]:
    """What is sent of a row: its own values as they are, and what follows from them."""
    values = {**row.values, **_derived(row)}
    return {key: value for key, value in values.items() if key in keys}


def _derived(row: Row) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, (score, reference) in _RATIOS.items():
        if score in row.values and row.values.get(reference, 0.0) > 0.0:
            found[key] = row.values[score] / row.values[reference]
    if "best/k_loc" in row.values:
        found["best/epoch"] = float(row.step)
    if row.nonfinite:
        found["guard/nonfinite"] = float(len(row.nonfinite))
    return {key: value for key, value in found.items() if math.isfinite(value)}
