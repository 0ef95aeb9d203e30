"""Candidates, evidence and versions for the tests of promotions."""

import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from risexp.config.gates import load_gates
from risexp.config.run import RunConfig
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.registry.model_registry import Registry, Version
from risexp.registry.promotion import Promotion
from risexp.registry.verdicts import Evaluation, Evidence, ScoredAnswers
from risexp.runs.folder import RunFolder
from risexp.runs.outcome import complete
from risexp.runs.spec import Labels
from risexp.tracking.stores import TrackingStore
from risexp.training.checkpoint import Checkpoint, State, config_tree, copied
from risexp.training.progress import Progress
from tests.support.estimates import estimate_at, truth_at
from tests.support.networks import awake, network_config
from tests.support.uploads import new_run, train

SCENES = 4000
NAME = "ris-localizer"
MOST = 4

# A fork server: a forked connection would break.
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
        "psycopg",
        "risexp.app.promotion.promote",
        "risexp.cli.main",
        "risexp.registry.mlflow_model",
        "risexp.registry.promotion",
        "scipy.optimize",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
        "tests.support.warm_search",
    ]
)


@cache
def counts(scenes: int = SCENES) -> Tensor:
    """True counts, all equally frequent."""
    return torch.arange(scenes) % MOST + 1


def scored(hit: Tensor, success: Tensor) -> SceneScores:
    """Answers with the right count in `hit` (B,) and all positions right in `success` (B,)."""
    count = counts(len(hit))
    slots = torch.arange(MOST)
    present = slots < count[:, None]
    phi = torch.where(present, 0.3 * slots - 0.5, torch.nan).double()
    theta = torch.where(present, 0.1, torch.nan).double()
    range_m = torch.where(present, 3.0, torch.nan).double()
    truth = truth_at(count, phi, theta, range_m)
    estimated = torch.where(hit, count, count % MOST + 1)
    shown = slots < estimated[:, None]
    error_m = torch.where(success, 0.0, 2.0)[:, None]
    estimate = estimate_at(
        estimated,
        torch.where(shown, 0.3 * slots - 0.5, torch.nan).double(),
        torch.where(shown, 0.1, torch.nan).double(),
        torch.where(shown, 3.0 + error_m, torch.nan).double(),
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
    """Answers that are right in these shares of the scenes; larger shares include smaller ones."""
    hard = torch.rand(scenes, generator=torch.Generator().manual_seed(seed))
    return ScoredAnswers(scored(hard < k_acc, hard < success), ms_per_scene=2.0, ece=ece)


def evidence(**changes: Any) -> Evidence:  # noqa: ANN401 - any field
    """Evidence of a better candidate, which passes every default gate."""
    scenes = changes.pop("scenes", SCENES)
    snr_db = torch.rand(scenes, generator=torch.Generator().manual_seed(9)) * 25.0 - 5.0
    better = Evaluation(
        candidate=answered(0.75, 0.52, scenes=scenes),
        nomp=answered(0.75, 0.55, scenes=scenes),
        champion=answered(0.75, 0.50, scenes=scenes),
        snr_db=snr_db,
        ms_ratio=1.0,
    )
    scored = {name: changes.pop(name) for name in vars(better) if name in changes}
    found = Evidence(load_gates("default"), replace(better, **scored), "complete", {}, True)
    return replace(found, **changes)


def alone(**changes: Any) -> Evidence:  # noqa: ANN401 - likewise
    return evidence(champion=None, ms_ratio=None, same_data=None, **changes)


def a_run(store: TrackingStore) -> str:
    """A run for versions to come from; its id in MLflow."""
    from risexp.tracking.client import TrackingClient

    runs = TrackingClient(store)
    return runs.create(runs.experiment("risexp"), "train-1", {"risexp.run": "train-1"}, 0)


def promotion(run_id: str, folder: Path, champion: int | None = None) -> Promotion:
    """A folder to promote; it holds no model that can be loaded."""
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    tags: Mapping[str, str] = {"risexp.run": "train-1"}
    return Promotion(NAME, "champion", champion, run_id, folder, folder.name, tags, "# a card")


def state(registry: Registry) -> dict[str, Any]:
    """Aliases, and versions with tags and cards, by model."""
    return {
        name: (registry.aliases(name), [_plain(version) for version in registry.versions(name)])
        for name in registry.names()
    }


def _plain(version: Version) -> tuple[int, dict[str, str], str]:
    return version.number, dict(version.tags), version.card


def kept(
    name: str, seed: int = 0, labels: Labels | None = None, config: RunConfig | None = None
) -> RunFolder:
    """A complete run whose last checkpoint is an untrained network."""
    config = config or network_config().canonical()
    folder = new_run(name, config, labels)
    train(folder)
    folder.open_journal().write(3, {"guard/loss": 0.0})
    weights = awake(config, seed=seed).state_dict()
    checkpoint = Checkpoint(
        run_id=name,
        config=config_tree(config),
        plan=folder.plans()[2],
        scores={"k_loc": 3.0},
        state=State(copied(weights), copied(weights), {}, {}, Progress(epoch=3), seed),
        temperature=1.2,
    )
    folder.checkpoints().save(checkpoint)
    folder.close(complete("finished", 3))
    return folder


def answering(evidence: Evidence) -> Callable[..., Evaluation]:
    return lambda *_: evidence.evaluation
