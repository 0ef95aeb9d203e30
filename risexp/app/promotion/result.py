"""A promotion's request and its result: as plain values, as tags, and as the model card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from risexp import __version__
from risexp.app.promotion.candidate import Candidate
from risexp.app.promotion.promotion_lock import now, user
from risexp.app.promotion.test_set import TestSet
from risexp.evaluation.paired import RATES, WHOLE, Mean
from risexp.registry.verdicts import Evidence, GateVerdict, failed_gates, judge_gates

if TYPE_CHECKING:
    from risexp.registry.model_registry import Version

MODEL: Final = "ris-localizer"
"""Default name of a model."""
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


@dataclass(frozen=True)
class PromotionRequest:
    """The run to promote, and how it is judged."""

    study: str | None = None
    run: str | None = None
    name: str = MODEL
    alias: str = "champion"
    gates: str = "default"
    scenes: int = 5000
    test_set: Path | None = None
    dry_run: bool = False
    tracking: str | None = None


@dataclass(frozen=True)
class PromotionResult:
    """The evidence on a candidate, the verdicts, and the version it became."""

    request: PromotionRequest
    candidate: Candidate
    champion: "Version | None"
    """The version that had the alias when the candidate was judged."""
    test_set: TestSet
    evidence: Evidence
    version: "Version | None" = None
    """The new version; None if a gate failed, or for a dry run."""
    by: str = field(default_factory=user)
    at: str = field(default_factory=now)
    """UTC."""

    @cached_property
    def verdicts(self) -> tuple[GateVerdict, ...]:
        """The verdict on every gate."""
        return judge_gates(self.evidence)

    @property
    def failed(self) -> tuple[GateVerdict, ...]:
        """The gates that keep the candidate from being promoted."""
        return failed_gates(self.verdicts)

    @property
    def champion_number(self) -> int | None:
        """Version number of the champion."""
        return None if self.champion is None else self.champion.number

    @property
    def champion_name(self) -> str:
        """The champion in words."""
        return "no champion" if self.champion is None else f"version {self.champion.number}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, in sentences."""
        drew = f"drew {self.test_set.manifest.scenes} test scenes into {self.test_set.folder}"
        return (*self.candidate.notes, *([drew] if self.test_set.drawn else []))

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        candidate = self.candidate
        return {
            "model": self.request.name,
            "alias": self.request.alias,
            "run": candidate.run,
            "epoch": candidate.bundle.epoch,
            "study": candidate.labels.study,
            "trial": candidate.labels.trial,
            "champion": self.champion_number,
            "gates": self.evidence.gates.model_dump(mode="json"),
            "test_set": {
                "folder": str(self.test_set.folder),
                "digest": self.test_set.manifest.digest,
            },
            **self.evidence.as_json(),
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
            "passed": not self.failed,
            "dry_run": self.request.dry_run,
            "version": None if self.version is None else self.version.number,
            "said": list(self.notes),
        }

    def tags(self) -> Mapping[str, str]:
        """A version's tags: origin, scores, verdicts, test set, user and time."""
        evidence, manifest = self.evidence, self.test_set.manifest
        scores = {
            f"risexp.{rate}" if name == "candidate" else f"risexp.{name}_{rate}": interval(
                evidence.mean(f"{name} {rate}")
            )
            for name in evidence.evaluation.answers
            for rate in RATES
        }
        return {
            **self.candidate.tags(),
            **scores,
            "risexp.k_majority": interval(evidence.mean("majority k_acc")),
            "risexp.ece": f"{evidence.evaluation.candidate.ece:.4f}",
            "risexp.ms_per_scene": f"{evidence.evaluation.candidate.ms_per_scene:.3f}",
            "risexp.gates": evidence.gates.name,
            "risexp.verdicts": "; ".join(
                f"{verdict.gate}: {verdict.word}" for verdict in self.verdicts
            ),
            "risexp.test_set": manifest.digest,
            "risexp.test_scenes": str(manifest.scenes),
            "risexp.version": __version__,
            "risexp.promoted_by": self.by,
            "risexp.promoted_at": self.at,
        }


def interval(mean: Mean) -> str:
    """A number, with its interval if it has one."""
    if mean.low == mean.high == mean.value:
        return f"{mean.value:.4g}"
    return f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"


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
            f"Brackets are {100 * evidence.gates.level:g} % intervals over scenes of set "
            f"`{result.test_set.manifest.digest[:12]}`; times are in batches, and of when "
            "a method first answered that set."
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
    for name, answer in evidence.evaluation.answers.items():
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
    gates = result.evidence.gates
    about = f" ({gates.about.rstrip('.')})" if gates.about else ""
    return (
        f"Promoted by {result.by} at {result.at} beside {result.champion_name}, by the gates "
        f"`{gates.name}`{about}."
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
