"""Scores of a group of scenes: the same formulas for all, for a subset, for a resample."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from risexp.evaluation.scene_scores import SceneScores, k_loc


@dataclass(frozen=True)
class Scores:
    """The scores of a group of scenes; `metrics.METRICS` describes them.

    A score over nothing, no scene or no matched pair, is NaN.
    """

    k_loc: float
    k_acc: float
    k_under: float
    k_over: float
    success_rate: float
    success_strict: float
    aoa_rmse: float
    range_rmse: float
    aoa_median: float
    aoa_p95: float
    range_median: float
    range_p95: float
    gospa: float
    gospa_localisation: float
    gospa_missed: float
    gospa_false: float

    def items(self) -> list[tuple[str, float]]:
        """Name and value of every score, in the order they are declared."""
        return list(vars(self).items())

    def as_json(self) -> dict[str, float | None]:
        """The scores by name, with null for what is undefined."""
        return {name: value if math.isfinite(value) else None for name, value in self.items()}


QUANTILES: Final[Mapping[str, float]] = {"median": 0.5, "p95": 0.95}


def summarise(table: SceneScores) -> Scores:
    """The scores of these scenes, each scene counted once."""
    once = torch.ones(1, len(table), dtype=torch.float64, device=table.hit.device)
    return Scores(**{name: float(value) for name, value in weighted(table, once).items()})


def weighted(table: SceneScores, weights: Tensor) -> dict[str, Tensor]:
    """Every score under W weightings of the scenes, (W,) float64 each, NaN where undefined.

    `weights` (W, B) say how often a scene counts.
    """
    columns = _additive(table)
    sums = (weights @ torch.stack(list(columns.values()), dim=-1)).unbind(-1)
    scores = _from_sums(dict(zip(columns, sums, strict=True)))
    matching = table.matching
    angles = torch.cat([matching.phi_deg, matching.theta_deg], dim=-1)
    for quantity, errors in (("aoa", angles), ("range", matching.range_m)):
        levels = _quantiles(errors.abs(), weights, tuple(QUANTILES.values()))
        for name, value in zip(QUANTILES, levels.unbind(-1), strict=True):
            scores[f"{quantity}_{name}"] = value
    return scores


def _additive(table: SceneScores) -> dict[str, Tensor]:
    """What the scores need of each scene, so that sums over scenes suffice, (B,) float64 each."""
    squares = table.matching.errors.square().nan_to_num(nan=0.0).sum(-2)
    columns = {
        "scenes": torch.ones_like(table.hit),
        "k_acc": table.hit,
        "k_under": table.under,
        "k_over": table.over,
        "success_rate": table.success,
        "success_strict": table.success_strict,
        "gospa": table.gospa.total,
        "gospa_localisation": table.gospa.localisation,
        "gospa_missed": table.gospa.missed,
        "gospa_false": table.gospa.false,
        "pairs": table.matching.pairs,
        "square_deg": squares[:, 0] + squares[:, 1],
        "square_m": squares[:, 2],
        "slots": table.slots,
        "slot_phi": table.slot_errors[:, 0],
        "slot_theta": table.slot_errors[:, 1],
        "slot_range": table.slot_errors[:, 2],
    }
    return {name: column.double() for name, column in columns.items()}


def _from_sums(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All scores that are functions of sums over scenes; nothing over nothing is NaN."""
    rates = ("k_acc", "k_under", "k_over", "success_rate", "success_strict")
    parts = ("gospa", "gospa_localisation", "gospa_missed", "gospa_false")
    scores = {name: sums[name] / sums["scenes"] for name in (*rates, *parts)}
    scores["aoa_rmse"] = (sums["square_deg"] / (2.0 * sums["pairs"])).sqrt()
    scores["range_rmse"] = (sums["square_m"] / sums["pairs"]).sqrt()
    slot_sums = torch.stack([sums["slot_phi"], sums["slot_theta"], sums["slot_range"]], dim=-1)
    mean_slot_errors = slot_sums / sums["slots"].unsqueeze(-1)
    scores["k_loc"] = k_loc(scores["k_acc"], scores["success_rate"], mean_slot_errors)
    return scores


def _quantiles(errors: Tensor, weights: Tensor, levels: tuple[float, ...]) -> Tensor:
    """The smallest error that a share of `levels` does not exceed, (W, len(levels)) float64.

    `errors` (B, E) are NaN where there is none; `weights` are (W, B); levels lie in (0, 1).
    """
    known = ~errors.isnan()
    values, rank = errors[known].sort()
    scene = known.nonzero()[:, 0][rank]
    below = weights[:, scene].cumsum(-1)
    total = torch.where(known, 1.0, 0.0).to(weights).sum(-1) @ weights.mT
    place = torch.searchsorted(below, total.unsqueeze(-1) * weights.new_tensor(levels))
    # One more value, so that a group without errors still has one to point at.
    values = torch.cat([values, values.new_full((1,), torch.nan)])
    quantiles = values[place.clamp(max=len(values) - 1)]
    return torch.where(total.unsqueeze(-1) > 0, quantiles, torch.nan)
