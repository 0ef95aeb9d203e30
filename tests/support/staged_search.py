"""A staged space, and an office of toy workers whose trials score by what they try."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from optuna.pruners import NopPruner

from risexp.app.search.search import SearchRequest
from risexp.app.search.worker import owner_of
from risexp.config.run import RunConfig
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import end_of, find_study
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerDeath, WorkerSpec
from risexp.runs.folder import RunFolder, create_run
from risexp.space.spec import SearchSpace
from risexp.training.checkpoint import Checkpoint, config_tree
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore
from risexp.training.curriculum import curriculum
from tests.support.searches import BLINK
from tests.support.trainers import checkpoints

WEIGHT: Mapping[str, object] = {"kind": "choice", "options": [0.0, 1.0]}
SPACE = SearchSpace.model_validate(
    {
        "name": "terms",
        "base": "smoke",
        "trials": 2,
        "fixed": {**BLINK, "training.epochs": 2, "loss.structure_share": 0.1},
        "stages": {"subspace": {"loss.subspace": WEIGHT}, "cross": {"loss.cross": WEIGHT}},
        "keep": {"k_loc": 0.0, "k_acc": 0.0, "success_rate": 0.0},
        "sampler": {"kind": "random"},
        "pruner": {"kind": "none"},
    }
)
WANTED = SearchRequest(SPACE, "terms", trials=2, device="cpu", tracking="off", unchecked=True)
HELPS = {"loss.subspace"}
"""Fields whose weight makes the toy better; all others make it worse."""

Turn = Callable[["Hand"], None]


@dataclass
class Office:
    """Whom a search employs, and what they do: a trial, unless they are told otherwise."""

    turns: Iterator[Turn]
    studies: list[str]
    trained: list[str]
    ends: Mapping[str, TrialResult]
    """Of trials, by their runs, that do not become complete."""


class Hand:
    """A crew of one that does a trial between two looks, with scores by what is tried."""

    def __init__(self, office: Office, post: WorkerSpec) -> None:
        words = dict(zip(post.command[1::2], post.command[2::2], strict=True))
        self.study, self.token = words["--study"], words["--crew"]
        self.pids: tuple[int, ...] = (1,)
        self.gave_up = False
        self._office = office

    def start(self) -> None:
        self._office.studies.append(self.study)
        self.store = open_store(embedded())

    def look(self) -> list[WorkerDeath]:
        return []

    def progressed(self) -> None:
        pass

    def restart_dead(self) -> None:
        if self.pids:
            next(self._office.turns, Hand.train)(self)

    def terminate(self) -> None:
        self.pids = ()

    def end(self, _patience_s: float) -> None:
        self.store.close()

    def train(self) -> None:
        store = self.store
        study = find_study(store, self.study)
        charter, me = spec_from_facts(study.name, study.facts), owner_of(self.token, 1)
        queue = Queue(store, study, build_sampler(charter, me.id), NopPruner())
        claim = None if end_of(store, study) else queue.claim(me)
        if claim is None:
            self.pids = ()
            return
        values = claim.suggest(lambda trial: suggest(charter, trial))
        scores = scores_of(charter.resolve(values).config.flat())
        keep(claim.run_id, charter.resolve(values).config, scores)
        claim.report(1, scores["k_loc"])
        ending = TrialResult("complete", "finished", scores["k_loc"])
        claim.finish(self._office.ends.get(claim.run_id, ending))
        self._office.trained.append(claim.run_id)


def scores_of(config: Mapping[str, Any]) -> dict[str, float]:
    """Better by each weight that helps, worse by each that does not."""
    gain = sum(
        float(config[path]) * (1 if path in HELPS else -1)
        for path in ("loss.subspace", "loss.cross")
    )
    return {"k_loc": 5.0 - gain, "k_acc": 0.5 + 0.1 * gain, "success_rate": 0.25 + 0.1 * gain}


def keep(run: str, config: RunConfig, scores: Mapping[str, float]) -> None:
    """A run that has kept one checkpoint with these scores."""
    put(create_run(run, config, curriculum(config)), scores)


def put(folder: RunFolder, scores: Mapping[str, float]) -> None:
    """A checkpoint with these scores into a new attempt at a run."""
    vault = CheckpointStore(folder.begin({}), CheckpointOwner(folder.run_id, folder.config_sha))
    tree, kept = config_tree(folder.config()), checkpoint()
    scores = {**kept.scores, **scores}
    vault.save(replace(kept, run_id=folder.run_id, config=tree, scores=scores))


@cache
def checkpoint() -> Checkpoint:
    (kept,) = checkpoints(1)
    return kept


Employ = Callable[..., Office]
