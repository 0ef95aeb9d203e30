"""The references probe: what scores can reach on the configured law.

`k_reference` and `success_reference` are the scores of a simple rule at the true positions and can
be exceeded; `k_bound` cannot, in the mean.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.diagnostics.probe_data import scenes_at
from risexp.diagnostics.report import Number, Rate, Report, Row, Table
from risexp.evaluation.references import references

COLUMNS: Final = ("k_reference", "k_bound", "success_reference", "success_true_count")
_CLEAR: Final = 0.9
"""Share of scenes from which counting or locating is called clear."""

Columns = dict[str, Tensor]
"""For every name in COLUMNS, (levels, B) float64 in [0, 1]."""


def probe_references(config: RunConfig, scenes: int, levels: Sequence[float]) -> Report:
    """Compute the references of the configured law at the SNR levels (dB).

    The scenes are the same at every level, so the mean's interval counts them once.
    """
    columns = reference_columns(config, scenes, levels)
    means = {name: Rate.of(values.mean(0)) for name, values in columns.items()}
    rows: list[Row] = [
        (f"{level:g}", *(Rate.of(values[place]) for values in columns.values()))
        for place, level in enumerate(levels)
    ]
    rows.append(("mean", *means.values()))
    evidence = (
        Number("K accuracy by chance", 1.0 / config.data.sources_max),
        Table("references with 95 % intervals", ("SNR (dB)", *COLUMNS), tuple(rows)),
    )
    advice = (*_on_means(means), *_on_levels(columns, levels))
    return Report("references", "info", evidence, advice)


def reference_columns(config: RunConfig, scenes: int, levels: Sequence[float]) -> Columns:
    """The references of every scene at every level."""
    by_level = [
        references(config.physics, config.data, scenes_at(config, level, scenes))
        for level in levels
    ]
    columns = {
        "k_reference": [level.detectable for level in by_level],
        "k_bound": [level.count_bound for level in by_level],
        "success_reference": [level.success for level in by_level],
        "success_true_count": [level.success_true_count for level in by_level],
    }
    return {name: torch.stack(columns[name]).double() for name in COLUMNS}


def _on_means(means: dict[str, Rate]) -> list[str]:
    """The ceilings, and whether counting or locating is the lower one."""
    counted, bound = means["k_reference"].value, means["k_bound"].value
    success, given = means["success_reference"].value, means["success_true_count"].value
    at_best = (
        f"Given all positions and the noise, {bound:.3f} of these scenes are counted right "
        "(k_bound): no receiver does better in the mean over this law, up to the interval above."
    )
    to_pass = (
        f"BIC at the true positions counts {counted:.3f} right (k_reference) and, with errors at "
        f"the Cramer-Rao bound, succeeds in {success:.3f} (success_reference): below these there "
        "is something to gain, and passing them is the aim."
    )
    lower, higher, side = (
        ("locating", "counting", "below") if given < counted else ("counting", "locating", "above")
    )
    limited = (
        f"Success is limited by {lower} more than by {higher}: with the count given it is "
        f"{given:.3f} (success_true_count), {side} the k_reference of {counted:.3f}."
    )
    return [at_best, to_pass, limited]


def _on_levels(columns: Columns, levels: Sequence[float]) -> list[str]:
    """The SNR from which scenes are clear, if any."""
    advice = []
    for name, doing in (("k_reference", "counting"), ("success_true_count", "locating")):
        shares = columns[name].mean(-1).tolist()
        clear = [level for level, share in zip(levels, shares, strict=True) if share >= _CLEAR]
        if clear:
            advice.append(
                f"From {min(clear):g} dB on {doing} is clear: {name} is {_CLEAR} or more."
            )
        else:
            advice.append(
                f"At none of these levels is {doing} clear: {name} stays at {max(shares):.3f} or "
                "less, so read every score by SNR and not in the mean alone."
            )
    return advice
