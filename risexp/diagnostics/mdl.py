"""Whether eigenvalues show the number of sources: MDL and AIC where they must work, then here.

The criteria are asked about ideal data first. Only where they answer those does it say something
about the configured law that they fail there.
"""

from collections.abc import Sequence
from typing import Final

from risexp.config.run import RunConfig
from risexp.covariance.sampled import order
from risexp.diagnostics.draws import noiseless
from risexp.diagnostics.labels import label_covariance
from risexp.diagnostics.orders import OrderCounts, OrderRule, on_ideal_data, on_scenes
from risexp.diagnostics.report import Evidence, Number, Rate, Report, Row, Table
from risexp.diagnostics.spectra import covariances, effective_rank

NEEDED: Final = 0.95
"""K accuracy that a sound criterion exceeds on ideal data."""
_GROWTH: Final = 1.1
"""Rise of the median effective rank from one source to most below which it shows no count."""

Ranks = dict[str, list[float]]
"""Median effective rank for K = 1 .. K_MAX, by covariance; NaN where no scene has K sources."""


def probe_mdl(
    config: RunConfig, scenes: int, levels: Sequence[float], rule: OrderRule = order
) -> Report:
    """Ask MDL and AIC for the count on ideal data and on the configured law, and compare ranks.

    Args:
        config: The law of the scenes.
        scenes: How many at each level, and of the ideal data.
        levels: SNR in dB.
        rule: The criteria; another form of them may be put to the test.
    """
    ideal = on_ideal_data(config, scenes, rule)
    measured = on_scenes(config, scenes, levels, rule)
    ranks, most = median_ranks(config, scenes), config.data.sources_max
    majority = majority_share(measured[0] if measured else ideal[0])
    evidence: tuple[Evidence, ...] = (
        *(Number(f"K accuracy of {each.label}", each.rate) for each in ideal),
        Number("K accuracy by chance", 1.0 / most),
        Number("K accuracy of always answering the most frequent count", majority),
        _accuracies(measured, levels),
        _rank_table(ranks, most),
        *(each.confusion(most) for each in (ideal[0], *measured)),
    )
    on_ideal = ideal[0].rate.value
    if not on_ideal > NEEDED:
        return Report("mdl", "fail", evidence, (_unsound(on_ideal),))
    advice = (
        _sound(on_ideal),
        *_on_covariances(measured, majority),
        *_on_ranks(ranks, most, {each.spectrum for each in measured}),
    )
    return Report("mdl", "info", evidence, advice)


def median_ranks(config: RunConfig, scenes: int) -> Ranks:
    """Of the noiseless covariances, and of the label, whose rank is K."""
    clean = noiseless(config, scenes)
    found = covariances(config.physics.symbols, clean.frames, config.sampled.ridge)
    found["label"] = label_covariance(config.physics, clean.truth)
    ranks = {name: effective_rank(each.eigenvalues()) for name, each in found.items()}
    having = [clean.truth.count == count for count in range(1, config.data.sources_max + 1)]
    return {name: [float(rank[k].median()) for k in having] for name, rank in ranks.items()}


def majority_share(answers: OrderCounts) -> float:
    """Accuracy of the one count that is right most often."""
    return float(answers.truth.bincount().max()) / len(answers.truth)


def _accuracies(measured: Sequence[OrderCounts], levels: Sequence[float]) -> Table:
    rows: list[Row] = [
        (f"{level:g}", *(Rate.of(each.hits[place]) for each in measured))
        for place, level in enumerate(levels)
    ]
    rows.append(("mean", *(each.rate for each in measured)))
    headings = ("SNR (dB)", *(each.label for each in measured))
    return Table("K accuracy with 95 % intervals", headings, tuple(rows))


def _rank_table(ranks: Ranks, most: int) -> Table:
    headings = ("covariance", *(f"K = {count}" for count in range(1, most + 1)))
    rows: tuple[Row, ...] = tuple((name, *medians) for name, medians in ranks.items())
    return Table("median effective rank without noise", headings, rows)


def _sound(accuracy: float) -> str:
    return (
        f"MDL counts {accuracy:.3f} of the ideal data right: the criterion is sound, and where it "
        "fails below, the covariance does not show K."
    )


def _unsound(accuracy: float) -> str:
    return (
        f"MDL counts only {accuracy:.3f} of the ideal data right, where more than {NEEDED} is "
        "due: the criterion itself is broken, so repair it (logarithms, no products; the "
        "min(N, L) eigenvalues that can differ from zero) before reading anything else here."
    )


def _on_covariances(measured: Sequence[OrderCounts], majority: float) -> list[str]:
    """Which spectra tell more about K than its most frequent value does."""
    if majority == 1.0:
        return ["Every one of these scenes holds the same number of sources: nothing to count."]
    said, telling = [], 0
    for name in dict.fromkeys(each.spectrum for each in measured):
        answers = [each for each in measured if each.spectrum == name]
        best = max(answers, key=lambda each: each.rate.value)
        accuracy = f"{best.criterion.upper()} at {best.rate.value:.3f}"
        if best.rate.low > majority:
            telling += 1
            said.append(
                f"The {name} covariance shows something of K: {accuracy} lies above the "
                f"{majority:.3f} of always answering one count."
            )
        else:
            said.append(
                f"The {name} covariance does not let MDL or AIC count: {accuracy} is no better "
                f"than the {majority:.3f} of always answering one."
            )
    if measured and not telling:
        said.append("Give a count head y, H and the codes, not the eigenvalues of these alone.")
    return said


def _on_ranks(ranks: Ranks, most: int, asked: set[str]) -> list[str]:
    """What the effective ranks explain."""
    said = [
        f"The {name} covariance has one eigenvalue whatever K is: no order can be asked of it."
        for name in ranks
        if name not in {*asked, "label"}
    ]
    for name in (name for name in ranks if name in asked and most > 1):
        first, last = ranks[name][0], ranks[name][-1]
        moved = f"from {first:.1f} for one source to {last:.1f} for {most}"
        if last >= _GROWTH * first:
            said.append(
                f"Without noise the effective rank of the {name} covariance rises {moved}: its "
                "eigenvalues move with K, whether or not a criterion reads it off them."
            )
        elif last < _GROWTH * first:
            said.append(
                f"Even without noise the effective rank of the {name} covariance goes {moved}: "
                "more snapshots or less noise would not make it show K."
            )
    label = ranks["label"][-1]
    if label < most / 2:
        said.append(
            f"Of {most} sources the label's own effective rank is {label:.1f}: the weak ones hold "
            "so little power that an error of the covariance hardly tells whether they are there."
        )
    return said
