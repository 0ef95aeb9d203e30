"""The metrics that are sent to MLflow: few enough for a page of charts; the journal has all."""

import math
from collections.abc import Iterable
from typing import Final

from risexp.runs.journal import Row
from risexp.runs.metrics import GUARDS, SYSTEM
from risexp.training.plan import Plan

LIMIT: Final = 50
"""Most keys of a run: a page with more charts is slow and hard to read."""

_POSITIONS: Final = ("success_rate", "aoa_rmse", "range_rmse")
_FIRST: Final = (
    *(f"best/{name}" for name in ("k_loc", "k_acc", *_POSITIONS, "epoch")),
    *(f"val/{name}" for name in ("k_loc", "k_acc", "k_acc_ratio", "k_under", "k_over")),
    *(f"val/{name}" for name in (*_POSITIONS, "success_ratio", "loss")),
    *("loss/total", "beta", "lr", "step/taken", "step/refused"),
    *("grad_norm", "delta_param", "scenes_per_s"),
    *("guard/nonfinite", "guard/refused", "guard/chance"),
)
"""Keys of every run, the most important first; loss terms, guards and the machine follow."""

_RATIOS: Final = {
    "val/k_acc_ratio": ("val/k_acc", "val/k_reference"),
    "val/success_ratio": ("val/success_rate", "val/success_reference"),
}


def selected_keys(plans: Iterable[Plan]) -> frozenset[str]:
    """The keys of a run that are sent; they are known before its first epoch."""
    terms = dict.fromkeys(name for plan in plans for name in plan.active)
    ordered = dict.fromkeys(
        [
            *_FIRST,
            *(f"sys/{name}" for name in SYSTEM),
            *(f"loss/{name}" for name in terms),
            *(f"weighted/{name}" for name in terms),
            *(f"guard/{name}" for name in GUARDS),
        ]
    )
    return frozenset([*ordered][:LIMIT])


def sent_values(row: Row, keys: frozenset[str]) -> dict[str, float]:
    """The values of a row that are sent, with those derived from them."""
    values = {**row.values, **_derived(row)}
    return {key: value for key, value in values.items() if key in keys}


def _derived(row: Row) -> dict[str, float]:
    derived: dict[str, float] = {}
    for key, (score, reference) in _RATIOS.items():
        if score in row.values and row.values.get(reference, 0.0) > 0.0:
            derived[key] = row.values[score] / row.values[reference]
    if "best/k_loc" in row.values:
        derived["best/epoch"] = float(row.step)
    if row.nonfinite:
        derived["guard/nonfinite"] = float(len(row.nonfinite))
    return {key: value for key, value in derived.items() if math.isfinite(value)}
