"""Candidates, champions and versions as the tests of promotion need them."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.registry.evidence import Evidence, ScoredAnswers
from risexp.registry.promotion import Promotion, Step, promote
from risexp.registry.versions import Registry, Version
from risexp.tracking.stores import TrackingStore, in_environment
from tests.support.estimates import estimate_at, truth_at

SCENES = 4000
NAME = "ris-localizer"
MOST = 4

# Children come from a clean process that holds no connection: one that is forked would break.
SERVER: ForkServerContext = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        __name__,
        "alembic.command",
        "alembic.migration",
        "alembic.script",
        "mlflow.store.artifact.local_artifact_repo",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "sqlalchemy.dialects.sqlite.pysqlite",
    ]
)


@cache
def counts(scenes: int = SCENES) -> Tensor:
    """True counts, all equally frequent."""
    return torch.arange(scenes) % MOST + 1


def scored(hit: Tensor, success: Tensor) -> SceneScores:
    """Answers that count these scenes right, and find all sources of those.

    Args:
        hit: (B,) bool
        success: (B,) bool, no scene that is not a hit.
    """
    count = counts(len(hit))
    slots = torch.arange(MOST)
    present = slots < count[:, None]
    phi = torch.where(present, 0.3 * slots - 0.5, torch.nan).double()
    theta = torch.where(present, 0.1, torch.nan).double()
    range_m = torch.where(present, 3.0, torch.nan).double()
    truth = truth_at(count, phi, theta, range_m)
    answered = torch.where(hit, count, count % MOST + 1)
    shown = slots < answered[:, None]
    away = torch.where(success, 0.0, 2.0)[:, None]
    estimate = estimate_at(
        answered,
        torch.where(shown, 0.3 * slots - 0.5, torch.nan).double(),
        torch.where(shown, 0.1, torch.nan).double(),
        torch.where(shown, 3.0 + away, torch.nan).double(),
    )
    return score_scenes(estimate, truth)


def answered(
    k_acc: float = 0.75,
    success: float = 0.5,
    seed: int = 0,
    *,
    scenes: int = SCENES,
    ece: float = 0.02,
) -> ScoredAnswers:
    """One who is right in these shares of the scenes; who has more is right wherever less are."""
    hard = torch.rand(scenes, generator=torch.Generator().manual_seed(seed))
    return ScoredAnswers(scored(hard < k_acc, hard < success), ms_per_scene=2.0, ece=ece)


def evidence(**changes: Any) -> Evidence:  # noqa: ANN401 - whatever a test wants to be different
    """A candidate that is better than a champion in success and passes every default gate."""
    scenes = changes.pop("scenes", SCENES)
    snr_db = torch.rand(scenes, generator=torch.Generator().manual_seed(9)) * 25.0 - 5.0
    found = Evidence(
        candidate=answered(0.75, 0.52, scenes=scenes),
        nomp=answered(0.75, 0.55, scenes=scenes),
        champion=answered(0.75, 0.50, scenes=scenes),
        snr_db=snr_db,
        ms_ratio=1.0,
        state="complete",
        faults={},
        same_data=True,
    )
    return replace(found, **changes)


def alone(**changes: Any) -> Evidence:  # noqa: ANN401 - likewise
    """The same while there is no champion."""
    return evidence(champion=None, ms_ratio=None, same_data=None, **changes)


def a_run(store: TrackingStore) -> str:
    """A run that a version can come from; its id in MLflow."""
    from risexp.tracking.client import TrackingClient

    runs = TrackingClient(store)
    return runs.create(runs.experiment("risexp"), "train-1", {"risexp.run": "train-1"}, 0)


def wanted(run_id: str, folder: Path, champion: int | None = None) -> Promotion:
    """A model's folder that is to become a version; nobody loads it."""
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    tags: Mapping[str, str] = {"risexp.run": "train-1"}
    return Promotion(NAME, "champion", champion, run_id, folder, folder.name, tags, "# a card")


def state(registry: Registry) -> dict[str, Any]:
    """All that a registry holds: aliases, and versions with their tags."""
    return {
        name: (registry.aliases(name), [_plain(each) for each in registry.versions(name)])
        for name in registry.names()
    }


def _plain(version: Version) -> tuple[int, dict[str, str], str]:
    return version.number, dict(version.tags), version.card


def killed_at(step: Step, store: TrackingStore, promotion: Promotion) -> int | None:
    """Promote in a process that the system kills at a step; how it ended."""
    process = SERVER.Process(target=_promote_and_die, args=(step, store, promotion))
    process.start()
    process.join(60.0)
    code = process.exitcode
    process.kill()
    return code


def _promote_and_die(step: Step, store: TrackingStore, promotion: Promotion) -> None:
    def reached(now: Step) -> None:
        if now == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with in_environment(store):
        promote(Registry(store), promotion, alone=True, reached=reached)
