"""The mdl probe: whether MDL and AIC can count sources on the configured law.

The criteria count ideal data first: only if they work there does a failure say something about the
configured law.
"""

from collections.abc import Sequence
from typing import Final

from risexp.config.run import RunConfig
from risexp.covariance.sampled import order
from risexp.diagnostics.order_counts import (
    OrderCounts,
    OrderRule,
    covariances,
    effective_rank,
    on_ideal_data,
    on_scenes,
)
from risexp.diagnostics.probe_data import label_covariance, noiseless
from risexp.diagnostics.report import Evidence, Number, Rate, Report, Row, Table, majority_share

NEEDED: Final = 0.95
"""Least K accuracy of a sound criterion on ideal data."""
_GROWTH: Final = 1.1
"""Rise of the median effective rank, from one source to K_MAX, that shows the count."""

Ranks = dict[str, list[float]]
"""Median effective rank for K = 1 .. K_MAX, by covariance; NaN if no scene has K sources."""


def probe_mdl(
    config: RunConfig, scenes: int, levels: Sequence[float], rule: OrderRule = order
) -> Report:
    """Count by MDL and AIC on ideal data and on the law at levels of SNR in dB; compare ranks."""
    ideal = on_ideal_data(config, scenes, rule)
    measured = on_scenes(config, scenes, levels, rule)
    ranks, most = median_ranks(config, scenes), config.data.sources_max
    majority = majority_share(ideal[0].truth)
    evidence: tuple[Evidence, ...] = (
        *(Number(f"K accuracy of {counts.label}", counts.rate) for counts in ideal),
        Number("K accuracy by chance", 1.0 / most),
        Number("K accuracy of always answering the most frequent count", majority),
        _accuracies(measured, levels),
        _rank_table(ranks, most),
        *(counts.confusion(most) for counts in (ideal[0], *measured)),
    )
    on_ideal = ideal[0].rate.value
    if not on_ideal > NEEDED:
        broken = (
            f"MDL counts only {on_ideal:.3f} of the ideal data right, where more than {NEEDED} is "
            "due: the criterion itself is broken, so repair it (logarithms, no products; the "
            "min(N, L) eigenvalues that can differ from zero) before reading anything else here."
        )
        return Report("mdl", "fail", evidence, (broken,))
    advice = (
        (
            f"MDL counts {on_ideal:.3f} of the ideal data right: the criterion is sound, and where "
            "it fails below, the covariance does not show K."
        ),
        *_on_covariances(measured, majority),
        *_on_ranks(ranks, most, {counts.spectrum for counts in measured}),
    )
    return Report("mdl", "info", evidence, advice)


def median_ranks(config: RunConfig, scenes: int) -> Ranks:
    """Median ranks of the noiseless covariances and of the label, whose rank is K."""
    clean = noiseless(config, scenes)
    named = covariances(config.physics.symbols, clean.frames, config.sampled.ridge)
    named["label"] = label_covariance(config.physics, clean.truth)
    ranks = {name: effective_rank(covariance.eigenvalues()) for name, covariance in named.items()}
    having = [clean.truth.count == count for count in range(1, config.data.sources_max + 1)]
    return {name: [float(rank[k].median()) for k in having] for name, rank in ranks.items()}


def _accuracies(measured: Sequence[OrderCounts], levels: Sequence[float]) -> Table:
    rows: list[Row] = [
        (f"{level:g}", *(Rate.of(counts.hits[place]) for counts in measured))
        for place, level in enumerate(levels)
    ]
    rows.append(("mean", *(counts.rate for counts in measured)))
    headings = ("SNR (dB)", *(counts.label for counts in measured))
    return Table("K accuracy with 95 % intervals", headings, tuple(rows))


def _rank_table(ranks: Ranks, most: int) -> Table:
    headings = ("covariance", *(f"K = {count}" for count in range(1, most + 1)))
    rows: tuple[Row, ...] = tuple((name, *medians) for name, medians in ranks.items())
    return Table("median effective rank without noise", headings, rows)


def _on_covariances(measured: Sequence[OrderCounts], majority: float) -> list[str]:
    """Which covariances show more of K than its most frequent value does."""
    if majority == 1.0:
        return ["Every one of these scenes holds the same number of sources: nothing to count."]
    advice, telling = [], 0
    for name in dict.fromkeys(counts.spectrum for counts in measured):
        answers = [counts for counts in measured if counts.spectrum == name]
        best = max(answers, key=lambda counts: counts.rate.value)
        accuracy = f"{best.criterion.upper()} at {best.rate.value:.3f}"
        if best.rate.low > majority:
            telling += 1
            advice.append(
                f"The {name} covariance shows something of K: {accuracy} lies above the "
                f"{majority:.3f} of always answering one count."
            )
        else:
            advice.append(
                f"The {name} covariance does not let MDL or AIC count: {accuracy} is no better "
                f"than the {majority:.3f} of always answering one."
            )
    if measured and not telling:
        advice.append("Give a count head y, H and the codes, not the eigenvalues of these alone.")
    return advice


def _on_ranks(ranks: Ranks, most: int, counted: set[str]) -> list[str]:
    """What the effective ranks explain about the counts."""
    advice = [
        f"The {name} covariance has one eigenvalue for any K: no criterion can count from it."
        for name in ranks
        if name not in {*counted, "label"}
    ]
    for name in (name for name in ranks if name in counted and most > 1):
        first, last = ranks[name][0], ranks[name][-1]
        moved = f"from {first:.1f} for one source to {last:.1f} for {most}"
        if last >= _GROWTH * first:
            advice.append(
                f"Without noise the effective rank of the {name} covariance rises {moved}: its "
                "eigenvalues move with K, whether or not a criterion reads it off them."
            )
        elif last < _GROWTH * first:
            advice.append(
                f"Even without noise the effective rank of the {name} covariance goes {moved}: "
                "more snapshots or less noise would not make it show K."
            )
    label = ranks["label"][-1]
    if label < most / 2:
        advice.append(
            f"Of {most} sources the label's own effective rank is {label:.1f}: the weak ones hold "
            "so little power that an error of the covariance hardly tells whether they are there."
        )
    return advice
