"""Promotes a run to a registered model if it passes its gates on frozen scenes; rolls back."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import torch

from risexp.app.benchmark.evaluate import expect_fitting
from risexp.app.promotion.candidate import Candidate, find_candidate
from risexp.app.promotion.evaluate_candidates import evaluate_candidates
from risexp.app.promotion.kept_answers import KeptAnswers
from risexp.app.promotion.promotion_lock import now, promotion_lock, user
from risexp.app.promotion.result import PromotionRequest, PromotionResult, model_card
from risexp.app.promotion.test_set import TestSet, expect_drawn, expect_unseen, load_test_set
from risexp.config.gates import Gates, load_gates
from risexp.core.failpoint import failpoint
from risexp.errors import ConfigInvalid, InvalidInput
from risexp.registry.sealed_model import Bundle
from risexp.registry.verdicts import Evidence
from risexp.tracking.payload import data_digest

if TYPE_CHECKING:
    from risexp.registry.model_registry import Registry, Version

Progress = Callable[[str, int], Callable[[int], None]]
"""Starts the progress bar of a task with so many scenes, and returns what advances it."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_NOT_AN_ALIAS: Final = re.compile(r"latest|v\d+|previous(-.*)?", re.IGNORECASE)


def promote(request: PromotionRequest, device: torch.device, progress: Progress) -> PromotionResult:
    """Judge a run beside the champion, and move the alias to it if every gate passes.

    Before that nothing is written but the frozen scenes and the answers to them, which are kept for
    the next promotion, and what an interrupted promotion did not write.
    """
    from risexp.registry.model_address import open_registry
    from risexp.registry.pending import tidy

    _expect_names(request.name, request.alias)
    gates = load_gates(request.gates)
    candidate = find_candidate(request.study, request.run)
    with open_registry(request.tracking) as registry:
        candidate.expect_store(registry.store)
        lock = nullcontext(False) if request.dry_run else promotion_lock(registry.store)
        with lock as exclusive:
            if not request.dry_run:
                tidy(registry, request.name, exclusive=exclusive)
            champion = registry.at(request.name, request.alias)
            bundle = None if champion is None else registry.load(champion)
            pair = _Pair(request, gates, candidate, champion, bundle)
            result = pair.judge(device, progress)
            if request.dry_run or result.failed:
                return result
            return _register(result, registry, exclusive=exclusive)


@dataclass(frozen=True)
class RolledBack:
    """The version that lost an alias, and the one that has it again."""

    alias: str
    was: "Version"
    version: "Version"

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "model": self.version.name,
            "alias": self.alias,
            "was": self.was.number,
            "version": self.version.number,
        }


def roll_back(name: str, alias: str, tracking: str | None) -> RolledBack:
    """Give an alias back to the version that had it before.

    Raises:
        InvalidInput: There is no such model or alias, or no version had it before.
        ModelRefused: The version that had it before cannot be loaded.
        EnvironmentFailed: Another promotion is running, or the store does not answer.
    """
    from risexp.registry.model_address import open_registry
    from risexp.registry.promotion import roll_back as move_back

    _expect_names(name, alias)
    with open_registry(tracking) as registry, promotion_lock(registry.store) as exclusive:
        by = f"{user()} at {now()}"
        was, version = move_back(registry, name, alias, by, exclusive=exclusive)
    return RolledBack(alias, was, version)


def _expect_names(name: str, alias: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a model: use letters, digits, and . _ -")
    if not _ALIAS.fullmatch(alias) or _NOT_AN_ALIAS.fullmatch(alias):
        raise InvalidInput(
            f"{alias!r} is no alias to promote to: use letters, digits, _ and -, and neither "
            "latest, previous nor v and a number"
        )


@dataclass(frozen=True)
class _Pair:
    """A candidate and the champion that it is judged beside."""

    request: PromotionRequest
    gates: Gates
    candidate: Candidate
    champion: "Version | None"
    champion_bundle: Bundle | None

    def judge(self, device: torch.device, progress: Progress) -> PromotionResult:
        """Let both answer the test scenes, and judge the gates; the registry is not changed."""
        self._expect_new()
        test_set = self._test_set(progress)
        no_champion = self._no_champion()
        ours, theirs = self.candidate.bundle, None if no_champion else self.champion_bundle
        evaluation = evaluate_candidates(
            ours.config,
            ours.predictor(device),
            None if theirs is None else theirs.predictor(device),
            test_set,
            progress("answers", (2 if theirs is None else 3) * test_set.manifest.scenes),
            kept_files(ours, theirs, test_set, device),
        )
        evidence = Evidence(
            self.gates,
            evaluation,
            state=self.candidate.state,
            faults=self.candidate.seen.faults,
            same_data=self._same_data(),
            no_champion=no_champion or f"there is no {self.request.alias} yet",
        )
        return PromotionResult(self.request, self.candidate, self.champion, test_set, evidence)

    def _expect_new(self) -> None:
        """Check that the candidate is not the champion itself."""
        ours, theirs = self.candidate.bundle, self.champion_bundle
        if theirs is None or self.champion is None or ours.weights.keys() != theirs.weights.keys():
            return
        if all(torch.equal(weight, theirs.weights[name]) for name, weight in ours.weights.items()):
            raise InvalidInput(
                f"run {ours.run_id}, epoch {ours.epoch}, is the {self.request.alias} of "
                f"{self.request.name} already: version {self.champion.number}"
            )

    def _test_set(self, progress: Progress) -> TestSet:
        """The test scenes, which neither of the two has seen."""
        config, request = self.candidate.bundle.config, self.request
        advance = progress("test scenes", request.scenes)
        test_set = load_test_set(config, request.scenes, request.test_set, advance)
        trained = {"candidate": config}
        if self.champion_bundle is not None:
            trained[request.alias] = self.champion_bundle.config
        expect_unseen(test_set, trained)
        if request.test_set is not None:
            expect_drawn(test_set, config)
        return test_set

    def _no_champion(self) -> str:
        """Why the champion cannot answer the candidate's scenes; empty if it can or is absent."""
        if self.champion_bundle is None:
            return ""
        try:
            expect_fitting(self.champion_bundle.config, self.candidate.bundle.config)
        except ConfigInvalid as error:
            if self.gates.champion.data == "any":
                raise  # nothing would be compared
            return f"the champion cannot answer these scenes ({error})"
        return ""

    def _same_data(self) -> bool | None:
        if self.champion_bundle is None:
            return None
        return data_digest(self.champion_bundle.config) == self.candidate.data_digest


def kept_files(
    candidate: Bundle, champion: Bundle | None, test_set: TestSet, device: torch.device
) -> dict[str, KeptAnswers]:
    """The files of the answers that a promotion compares, by who answers."""
    places = {
        "candidate": KeptAnswers.of_network(candidate, test_set, device),
        "nomp": KeptAnswers.of_nomp(candidate.config, test_set, device),
    }
    if champion is not None:
        places["champion"] = KeptAnswers.of_network(champion, test_set, device)
    return places


def _register(result: PromotionResult, registry: "Registry", *, exclusive: bool) -> PromotionResult:
    from risexp.registry.mlflow_model import save_model
    from risexp.registry.model_registry import DIGEST
    from risexp.registry.promotion import Promotion
    from risexp.registry.promotion import promote as move

    request = result.request
    failpoint("promote.judged")
    run_id = result.candidate.upload_record(request.tracking)
    failpoint("promote.recorded")
    with TemporaryDirectory(prefix="risexp-model-") as place:
        folder = Path(place) / "model"
        digest = save_model(result.candidate.bundle, folder)
        failpoint("promote.saved")
        promotion = Promotion(
            name=request.name,
            alias=request.alias,
            champion=result.champion_number,
            run_id=run_id,
            folder=folder,
            # Never a path that another version is loaded from.
            place=f"model-{digest[:12]}-{token_hex(4)}",
            tags={**result.tags(), DIGEST: digest},
            card=model_card(result),
        )
        version = move(registry, promotion, exclusive=exclusive)
    return replace(result, version=version)
