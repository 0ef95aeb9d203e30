"""A promotion's request and its result, as plain values and as a version's tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from risexp import __version__
from risexp.app.promotion.candidate import Candidate
from risexp.app.promotion.promotion_lock import now, user
from risexp.app.promotion.test_set import TestSet
from risexp.config.gates import Gates
from risexp.evaluation.paired import RATES, Mean
from risexp.registry.verdicts import Evidence, GateVerdict, failed_gates, judge_gates

if TYPE_CHECKING:
    from risexp.registry.model_registry import Version

MODEL: Final = "ris-localizer"
"""Default name of a model."""


@dataclass(frozen=True)
class PromotionRequest:
    """The run to promote, and how it is judged."""

    study: str | None = None
    run: str | None = None
    name: str = MODEL
    """Name of the model."""
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
    gates: Gates
    evidence: Evidence
    version: "Version | None" = None
    """The new version; None if a gate failed, or for a dry run."""
    by: str = field(default_factory=user)
    at: str = field(default_factory=now)
    """UTC."""

    @cached_property
    def verdicts(self) -> tuple[GateVerdict, ...]:
        """The verdict on every gate."""
        return judge_gates(self.gates, self.evidence)

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
            "gates": self.gates.model_dump(mode="json"),
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
            for name in evidence.answers
            for rate in RATES
        }
        return {
            **self.candidate.tags(),
            **scores,
            "risexp.k_majority": interval(evidence.mean("majority k_acc")),
            "risexp.ece": f"{evidence.candidate.ece:.4f}",
            "risexp.ms_per_scene": f"{evidence.candidate.ms_per_scene:.3f}",
            "risexp.gates": self.gates.name,
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
