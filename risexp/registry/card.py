"""What people read about a version: its scores beside others', its gates, where it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from risexp.evaluation.paired import WHOLE, Mean
from risexp.registry.evidence import Evidence, ScoredAnswers
from risexp.registry.verdicts import GateVerdict

_SCORES = {"success_rate": "success", "k_acc": "K accuracy"}


@dataclass(frozen=True)
class Origin:
    """Where a candidate comes from."""

    run: str
    epoch: int
    study: str | None
    trial: int | None
    config_sha: str
    data_digest: str
    commit: str | None
    """Of the code that trained it."""
    dirty: bool
    temperature: float | None
    parameters: int


@dataclass(frozen=True)
class JudgedVersion:
    """What it was judged on, by what, and by whom."""

    gates: str
    about: str
    test_set: str
    """The digest of the scenes."""
    champion: int | None
    """The version it was judged beside."""
    by: str
    at: str
    """UTC."""


def card(
    name: str,
    origin: Origin,
    judged: JudgedVersion,
    evidence: Evidence,
    verdicts: Sequence[GateVerdict],
) -> str:
    """The model card, Markdown."""
    slices = [
        "## Where it answers how well",
        markdown(("scenes", "number", *_SCORES.values()), slice_rows(evidence)),
    ]
    sections = [
        f"# {name}: {origin.run}, epoch {origin.epoch}",
        _WHAT,
        _verdict(judged),
        f"## On {evidence.scenes} frozen test scenes",
        markdown(("", *_SCORES.values(), "ECE of the count", "ms a scene"), score_rows(evidence)),
        _reading(judged, evidence),
        "## Gates",
        markdown(("gate", "verdict", "found", "needed"), gate_rows(verdicts)),
        *slices,
        "## Where it comes from",
        "\n".join(f"- {line}" for line in _provenance(origin)),
        _LIMITS,
    ]
    whole = "\n\n".join(sections)
    if len(whole) > _LONGEST:
        whole = "\n\n".join(each for each in sections if each not in slices)
    return whole[:_LONGEST]


_LONGEST: Final = 5000
"""Characters that a registry in PostgreSQL takes."""
_WHAT: Final = (
    "Counts and localises sources in the near field of a reconfigurable intelligent surface from "
    "the frames of one base station."
)
_LIMITS: Final = (
    "It was judged on scenes of the law it was trained under. Of other panels, codebooks, powers "
    "or SNRs nothing is said here; `risexp eval` and `risexp bench robustness` do."
)


def _reading(judged: JudgedVersion, evidence: Evidence) -> str:
    return (
        f"Brackets are {100 * evidence.level:g} % intervals over scenes of set "
        f"`{judged.test_set[:12]}`; times are of one machine, in batches."
    )


def _verdict(judged: JudgedVersion) -> str:
    beside = "no champion" if judged.champion is None else f"version {judged.champion}"
    about = f" ({judged.about.rstrip('.')})" if judged.about else ""
    return (
        f"Promoted by {judged.by} at {judged.at} beside {beside}, by the gates `{judged.gates}`"
        f"{about}."
    )


def score_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    """Candidate, champion, NOMP and chance: scores with intervals, calibration and time."""
    known: Mapping[str, ScoredAnswers | None] = {
        "candidate": evidence.candidate,
        "champion": evidence.champion,
        "nomp": evidence.nomp,
    }
    rows = []
    for name, answered in known.items():
        if answered is not None:
            cells = [interval(evidence.mean(f"{name} {score}")) for score in _SCORES]
            rows.append((name, *cells, f"{answered.ece:.3f}", f"{answered.ms_per_scene:.2f}"))
    chance = interval(evidence.mean("majority k_acc"))
    return [*rows, (f"always {evidence.majority}", "0.000", chance, "", "")]


def gate_rows(verdicts: Sequence[GateVerdict]) -> list[tuple[str, ...]]:
    """Gate, verdict, the number that decided, what was needed."""
    return [
        (each.gate, each.word, "" if each.found is None else interval(each.found), each.needed)
        for each in verdicts
    ]


def slice_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    """The candidate's scores by SNR and by count."""
    return [
        (
            name,
            str(scenes),
            *(interval(evidence.mean(f"candidate {score}", name)) for score in _SCORES),
        )
        for name, scenes in evidence.slices.sizes.items()
        if name != WHOLE
    ]


def interval(found: Mean) -> str:
    """A number, and its interval where it has one."""
    if found.low == found.high == found.value:
        return f"{found.value:.4g}"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown has it."""
    lines = [f"| {' | '.join(row)} |" for row in (headings, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(headings)}", *lines[1:]])


def _provenance(origin: Origin) -> Iterator[str]:
    trial = f", trial {origin.trial} of study `{origin.study}`" if origin.study else ""
    yield f"run `{origin.run}`{trial}, epoch {origin.epoch}"
    yield f"{origin.parameters} weights; configuration `{origin.config_sha[:12]}`"
    yield f"scenes of `{origin.data_digest[:12]}`"
    changed = ", with changes that the run's record keeps" if origin.dirty else ""
    yield (
        "code that is no part of a repository"
        if origin.commit is None
        else (f"code `{origin.commit[:12]}`{changed}")
    )
    told = "not calibrated" if origin.temperature is None else f"{origin.temperature:.3f}"
    yield f"temperature of the count: {told}"
