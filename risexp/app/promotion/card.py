"""The model card of a version: scores beside others, gates, origin and limits, in Markdown."""

from collections.abc import Iterator, Sequence
from typing import Final

from risexp.app.promotion.result import PromotionResult, interval
from risexp.evaluation.paired import WHOLE
from risexp.registry.verdicts import Evidence, GateVerdict

_SCORES = {"success_rate": "success", "k_acc": "K accuracy"}
_LONGEST: Final = 5000
"""Characters that a registry in PostgreSQL takes."""
_WHAT: Final = (
    "Counts and localises sources in the near field of a reconfigurable intelligent surface from "
    "the frames of one base station."
)
_LIMITS: Final = (
    "It was tested on scenes of the law it was trained under. Other panels, codebooks, powers or "
    "SNRs were not tested here; `risexp eval` and `risexp bench robustness` test them."
)


def model_card(result: PromotionResult) -> str:
    """The model card; without its table of slices if it is too long for the registry."""
    evidence, bundle = result.evidence, result.candidate.bundle
    slices = [
        "## Scores by SNR and by count",
        markdown(("scenes", "number", *_SCORES.values()), _slice_rows(evidence)),
    ]
    sections = [
        f"# {result.request.name}: {result.candidate.run}, epoch {bundle.epoch}",
        _WHAT,
        _promotion(result),
        f"## On {evidence.scenes} frozen test scenes",
        markdown(("", *_SCORES.values(), "ECE of the count", "ms a scene"), score_rows(evidence)),
        (
            f"Brackets are {100 * evidence.level:g} % intervals over scenes of set "
            f"`{result.test_set.manifest.digest[:12]}`; times are of one machine, in batches."
        ),
        "## Gates",
        markdown(("gate", "verdict", "found", "needed"), gate_rows(result.verdicts)),
        *slices,
        "## Origin",
        "\n".join(f"- {line}" for line in _origin(result)),
        _LIMITS,
    ]
    card = "\n\n".join(sections)
    if len(card) > _LONGEST:
        card = "\n\n".join(section for section in sections if section not in slices)
    return card[:_LONGEST]


def score_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    """Candidate, champion, NOMP and chance: scores with intervals, calibration and time."""
    rows = []
    for name, answer in evidence.answers.items():
        cells = [interval(evidence.mean(f"{name} {score}")) for score in _SCORES]
        rows.append((name, *cells, f"{answer.ece:.3f}", f"{answer.ms_per_scene:.2f}"))
    chance = interval(evidence.mean("majority k_acc"))
    return [*rows, (f"always {evidence.majority}", "0.000", chance, "", "")]


def gate_rows(verdicts: Sequence[GateVerdict]) -> list[tuple[str, ...]]:
    """Gate, verdict, the number that decided, and what passes."""
    return [
        (
            verdict.gate,
            verdict.word,
            "" if verdict.value is None else interval(verdict.value),
            verdict.needed,
        )
        for verdict in verdicts
    ]


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in (headings, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(headings)}", *lines[1:]])


def _slice_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    return [
        (
            name,
            str(scenes),
            *(interval(evidence.mean(f"candidate {score}", name)) for score in _SCORES),
        )
        for name, scenes in evidence.slices.sizes.items()
        if name != WHOLE
    ]


def _promotion(result: PromotionResult) -> str:
    about = f" ({result.gates.about.rstrip('.')})" if result.gates.about else ""
    return (
        f"Promoted by {result.by} at {result.at} beside {result.champion_name}, by the gates "
        f"`{result.gates.name}`{about}."
    )


def _origin(result: PromotionResult) -> Iterator[str]:
    candidate = result.candidate
    bundle, labels, source = candidate.bundle, candidate.labels, candidate.source
    trial = f", trial {labels.trial} of study `{labels.study}`" if labels.study else ""
    yield f"run `{candidate.run}`{trial}, epoch {bundle.epoch}"
    yield f"{bundle.parameters} weights; configuration `{bundle.config_sha[:12]}`"
    yield f"scenes of `{candidate.data_digest[:12]}`"
    if source is None or source.commit is None:
        yield "code that is no part of a repository"
    else:
        changed = ", with changes that the run's record keeps" if source.dirty else ""
        yield f"code `{source.commit[:12]}`{changed}"
    temperature = "not calibrated" if bundle.temperature is None else f"{bundle.temperature:.3f}"
    yield f"temperature of the count: {temperature}"
