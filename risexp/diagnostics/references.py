"""What a score can at best be on the configured law, before anybody is scored.

`k_reference` and `success_reference` are what a plain rule reaches at the true positions, and can
be passed; `k_bound` cannot, in the mean.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.diagnostics.draws import scenes_at
from risexp.diagnostics.report import Number, Rate, Report, Row, Table
from risexp.evaluation.references import References, references

COLUMNS: Final = ("k_reference", "k_bound", "success_reference", "success_true_count")
_CLEAR: Final = 0.9
"""Share of scenes from which on counting or locating is called clear."""

Columns = dict[str, Tensor]
"""Of each name in COLUMNS, (levels, B) float64 in [0, 1]."""


def probe_references(config: RunConfig, scenes: int, levels: Sequence[float]) -> Report:
    """Compute the references of the configured law at each SNR.

    Args:
        config: The law of the scenes.
        scenes: How many at each level; the same ones, so the mean's interval counts them once.
        levels: SNR in dB.
    """
    found = reference_columns(config, scenes, levels)
    means = {name: Rate.of(values.mean(0)) for name, values in found.items()}
    rows: list[Row] = [
        (f"{level:g}", *(Rate.of(values[place]) for values in found.values()))
        for place, level in enumerate(levels)
    ]
    rows.append(("mean", *means.values()))
    evidence = (
        Number("K accuracy by chance", 1.0 / config.data.sources_max),
        Table("references with 95 % intervals", ("SNR (dB)", *COLUMNS), tuple(rows)),
    )
    advice = (*_on_means(means), *_on_levels(found, levels))
    return Report("references", "info", evidence, advice)


def reference_columns(config: RunConfig, scenes: int, levels: Sequence[float]) -> Columns:
    """The references of every scene at every level."""
    found = [
        references(config.physics, config.data, scenes_at(config, level, scenes))
        for level in levels
    ]
    return {
        name: torch.stack([_of_scenes(name, each) for each in found]).double() for name in COLUMNS
    }


def _of_scenes(name: str, found: References) -> Tensor:
    columns = {
        "k_reference": found.detectable,
        "k_bound": found.count_bound,
        "success_reference": found.success,
        "success_true_count": found.success_true_count,
    }
    return columns[name]


def _on_means(means: dict[str, Rate]) -> list[str]:
    """Where the ceilings are, and which of counting and locating is the lower one."""
    known, bound = means["k_reference"].value, means["k_bound"].value
    success, given = means["success_reference"].value, means["success_true_count"].value
    at_best = (
        f"Given all positions and the noise, {bound:.3f} of these scenes are counted right "
        "(k_bound): no receiver does better in the mean over this law, up to the interval above."
    )
    to_pass = (
        f"BIC at the true positions counts {known:.3f} right (k_reference) and, with errors at "
        f"the Cramer-Rao bound, succeeds in {success:.3f} (success_reference): below these there "
        "is something to gain, and passing them is the aim."
    )
    lower, higher, side = (
        ("locating", "counting", "below") if given < known else ("counting", "locating", "above")
    )
    limited = (
        f"Success is limited by {lower} more than by {higher}: with the count given it is "
        f"{given:.3f} (success_true_count), {side} the k_reference of {known:.3f}."
    )
    return [at_best, to_pass, limited]


def _on_levels(found: Columns, levels: Sequence[float]) -> list[str]:
    """From which noise on the scenes are clear, and whether they ever are."""
    said = []
    for name, doing in (("k_reference", "counting"), ("success_true_count", "locating")):
        shares = found[name].mean(-1).tolist()
        clear = [level for level, share in zip(levels, shares, strict=True) if share >= _CLEAR]
        if clear:
            said.append(f"From {min(clear):g} dB on {doing} is clear: {name} is {_CLEAR} or more.")
        else:
            said.append(
                f"At none of these levels is {doing} clear: {name} stays at {max(shares):.3f} or "
                "less, so read every score by SNR and not in the mean alone."
            )
    return said
