"""A run becomes a model that others load, if it holds what gates ask on frozen scenes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from risexp import __version__
from risexp.app.benchmark.evaluate import expect_fitting
from risexp.app.promotion.candidate import Candidate, candidate_of
from risexp.app.promotion.evaluate_candidates import evaluate_candidates
from risexp.app.promotion.promotion_lock import now, only_one, user
from risexp.app.promotion.registry import MODEL, asked, expect_alias, expect_model_name, registry_of
from risexp.app.promotion.test_set import TestSet, expect_drawn, expect_unseen, frozen_scenes
from risexp.config.gates import Gates, load_gates
from risexp.errors import ConfigInvalid, InvalidInput
from risexp.evaluation.paired import RATES
from risexp.registry.bundle import Bundle
from risexp.registry.card import JudgedVersion, card, interval
from risexp.registry.evidence import Evidence
from risexp.registry.verdicts import GateVerdict, failed, judged
from risexp.tracking.payload import data_digest

if TYPE_CHECKING:
    from risexp.registry.promotion import Reached
    from risexp.registry.versions import Registry, Version

Started = Callable[[str, int], Callable[[int], None]]
"""Told what begins and how many scenes it has; what it returns is told of advances."""


@dataclass(frozen=True)
class PromotionRequest:
    """What a person asks to be promoted, and how it is judged."""

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
    """What was found of a candidate, and what became of it."""

    wanted: PromotionRequest
    candidate: Candidate
    champion: "Version | None"
    sealed: TestSet
    gates: Gates
    evidence: Evidence
    verdicts: tuple[GateVerdict, ...]
    version: "Version | None" = None
    """That it became; None where a gate failed, or nothing was to be changed."""

    @property
    def failed(self) -> tuple[GateVerdict, ...]:
        """The gates that keep it from being promoted."""
        return failed(self.verdicts)

    @property
    def said(self) -> tuple[str, ...]:
        """What else a person should know, in sentences."""
        drew = f"drew {self.sealed.manifest.scenes} test scenes into {self.sealed.folder}"
        return (*self.candidate.said, *([drew] if self.sealed.made else []))

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        origin = self.candidate.origin
        return {
            "model": self.wanted.name,
            "alias": self.wanted.alias,
            "run": origin.run,
            "epoch": origin.epoch,
            "study": origin.study,
            "trial": origin.trial,
            "champion": None if self.champion is None else self.champion.number,
            "gates": self.gates.model_dump(mode="json"),
            "test_set": {
                "folder": str(self.sealed.folder),
                "digest": self.sealed.manifest.digest,
            },
            **self.evidence.as_json(),
            "verdicts": [each.as_json() for each in self.verdicts],
            "passed": not self.failed,
            "dry_run": self.wanted.dry_run,
            "version": None if self.version is None else self.version.number,
            "said": list(self.said),
        }


def promote(
    wanted: PromotionRequest,
    device: torch.device,
    started: Started,
    reached: "Reached | None" = None,
) -> PromotionResult:
    """Judge a run beside the champion, and let the alias stand for it if every gate passes.

    Nothing is written before that but the frozen scenes, which are kept for the next.

    Args:
        wanted: What is asked for.
        device: Where networks answer.
        started: Told what begins.
        reached: Told each step of the registry's protocol.

    Raises:
        RisexpError: What was asked for cannot be judged or promoted, or the machine failed.
    """
    expect_model_name(wanted.name)
    expect_alias(wanted.alias)
    gates = load_gates(wanted.gates)
    candidate = candidate_of(wanted.study, wanted.run)
    with registry_of(wanted.tracking) as registry:
        candidate.expect_store(registry.store)
        if wanted.dry_run:
            return _judged(wanted, gates, candidate, registry, device, started)
        with only_one(registry.store) as alone:
            found = _judged(wanted, gates, candidate, registry, device, started)
            if found.failed:
                return found
            return _carried_out(found, registry, alone=alone, reached=reached)


def _judged(
    wanted: PromotionRequest,
    gates: Gates,
    candidate: Candidate,
    registry: "Registry",
    device: torch.device,
    started: Started,
) -> PromotionResult:
    """Nothing is changed in the registry."""
    champion = asked(registry.store, partial(registry.at, wanted.name, wanted.alias))
    theirs = None if champion is None else _bundle_of(champion, candidate, wanted)
    sealed = _sealed(wanted, candidate, theirs, started)
    alone = _unable(candidate, theirs, gates)
    beside = None if alone else theirs
    answers = evaluate_candidates(
        candidate.bundle.config,
        candidate.bundle.predictor(device),
        None if beside is None else beside.predictor(device),
        sealed,
        started("answers", (2 if beside is None else 3) * sealed.manifest.scenes),
    )
    evidence = Evidence(
        candidate=answers.candidate,
        nomp=answers.nomp,
        champion=answers.champion,
        snr_db=answers.snr_db,
        ms_ratio=answers.ms_ratio,
        state=candidate.state,
        faults=candidate.seen.faults,
        same_data=None if theirs is None else _digest(theirs) == _digest(candidate.bundle),
        alone=alone or f"there is no {wanted.alias} yet",
        level=gates.level,
        resamples=gates.resamples,
    )
    return PromotionResult(
        wanted, candidate, champion, sealed, gates, evidence, judged(gates, evidence)
    )


def _bundle_of(champion: "Version", candidate: Candidate, wanted: PromotionRequest) -> Bundle:
    """What the champion is made of.

    Raises:
        InvalidInput: It is the candidate itself.
    """
    from risexp.registry.download import fetched

    theirs, ours = fetched(champion.address, wanted.tracking), candidate.bundle
    if _same(theirs, ours):
        raise InvalidInput(
            f"run {ours.run_id}, epoch {ours.epoch}, is the {wanted.alias} of {wanted.name} "
            f"already: version {champion.number}"
        )
    return theirs


def _same(one: Bundle, other: Bundle) -> bool:
    return one.weights.keys() == other.weights.keys() and all(
        torch.equal(weight, other.weights[name]) for name, weight in one.weights.items()
    )


def _sealed(
    wanted: PromotionRequest, candidate: Candidate, theirs: Bundle | None, started: Started
) -> TestSet:
    """The test scenes, which neither of the two has seen."""
    config = candidate.bundle.config
    advance = started("test scenes", wanted.scenes)
    sealed = frozen_scenes(config, wanted.scenes, wanted.test_set, advance)
    taught = {"candidate": config}
    if theirs is not None:
        taught[wanted.alias] = theirs.config
    expect_unseen(sealed, taught)
    if wanted.test_set is not None:
        expect_drawn(sealed, candidate.bundle.config)
    return sealed


def _unable(candidate: Candidate, theirs: Bundle | None, gates: Gates) -> str:
    """Why a champion cannot answer the candidate's scenes; empty where it can, or is not there.

    Raises:
        ConfigInvalid: It cannot, and the gates do not mind other data: nothing would be compared.
    """
    if theirs is None:
        return ""
    try:
        expect_fitting(theirs.config, candidate.bundle.config)
    except ConfigInvalid as error:
        if gates.champion.data == "any":
            raise
        return f"the champion cannot answer these scenes ({error})"
    return ""


def _digest(bundle: Bundle) -> str:
    return data_digest(bundle.config)


def _carried_out(
    found: PromotionResult, registry: "Registry", *, alone: bool, reached: "Reached | None"
) -> PromotionResult:
    """Make the version and move the alias; the run's record comes first."""
    from risexp.registry.download import DIGEST
    from risexp.registry.folder import save_model
    from risexp.registry.promotion import Promotion
    from risexp.registry.promotion import promote as move

    run_id = found.candidate.recorded(found.wanted.tracking)
    with TemporaryDirectory(prefix="risexp-model-") as place:
        folder = Path(place) / "model"
        digest = save_model(found.candidate.bundle, folder)
        promotion = Promotion(
            name=found.wanted.name,
            alias=found.wanted.alias,
            champion=None if found.champion is None else found.champion.number,
            run_id=run_id,
            folder=folder,
            # Never a place that another version is loaded from.
            place=f"model-{digest[:12]}-{token_hex(4)}",
            tags={**_tags(found), DIGEST: digest},
            card=_card(found),
        )
        watching = {} if reached is None else {"reached": reached}
        version = asked(registry.store, partial(move, registry, promotion, alone=alone, **watching))
    return replace(found, version=version)


def _tags(found: PromotionResult) -> Mapping[str, str]:
    """What the version says of itself: numbers, verdicts, data, and who promoted it."""
    evidence, manifest = found.evidence, found.sealed.manifest
    beside = ["candidate", "nomp", *([] if evidence.champion is None else ["champion"])]
    scores = {
        f"risexp.{score}" if who == "candidate" else f"risexp.{who}_{score}": interval(
            evidence.mean(f"{who} {score}")
        )
        for who in beside
        for score in RATES
    }
    return {
        **found.candidate.tags(),
        **scores,
        "risexp.k_majority": interval(evidence.mean("majority k_acc")),
        "risexp.ece": f"{evidence.candidate.ece:.4f}",
        "risexp.ms_per_scene": f"{evidence.candidate.ms_per_scene:.3f}",
        "risexp.gates": found.gates.name,
        "risexp.verdicts": "; ".join(f"{each.gate}: {each.word}" for each in found.verdicts),
        "risexp.test_set": manifest.digest,
        "risexp.test_scenes": str(manifest.scenes),
        "risexp.version": __version__,
        "risexp.promoted_by": user(),
        "risexp.promoted_at": now(),
    }


def _card(found: PromotionResult) -> str:
    told = JudgedVersion(
        gates=found.gates.name,
        about=found.gates.about,
        test_set=found.sealed.manifest.digest,
        champion=None if found.champion is None else found.champion.number,
        by=user(),
        at=now(),
    )
    return card(found.wanted.name, found.candidate.origin, told, found.evidence, found.verdicts)
