"""A staged space, and toy workers whose trials score by what they try."""

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
from risexp.hpo.studies.study import end_of
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerSpec
from risexp.runs.folder import RunFolder, create_run
from risexp.space.spec import SearchSpace
from risexp.training.checkpoint import Checkpoint, config_tree
from risexp.training.curriculum import curriculum
from tests.support.searches import BLINK
from tests.support.trainers import checkpoints
from tests.support.worker_pool import FakePool, study

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
STAGED = SearchRequest(SPACE, "terms", trials=2, device="cpu", tracking="off", unchecked=True)
HELPS = {"loss.subspace"}
"""Fields whose weight makes the toy better; all others make it worse."""

Turn = Callable[["StagePool"], None]


@dataclass
class Office:
    """The pools of a staged search: their studies and trials, and the turns that they take."""

    turns: Iterator[Turn]
    studies: list[str]
    trained: list[str]
    ends: Mapping[str, TrialResult]
    """Results of trials that do not complete, by run."""


class StagePool(FakePool):
    """A pool of one whose trials are runs with scores by what they try."""

    def __init__(self, office: Office, spec: WorkerSpec) -> None:
        super().__init__([spec], iter(()))
        self._office = office

    def start(self) -> None:
        self._office.studies.append(self.study)

    def restart_dead(self) -> None:
        if self.pids:
            next(self._office.turns, StagePool.train)(self)

    def train(self) -> None:
        with study(self.study) as (store, ref):
            owner = owner_of(self.token, 1)
            queue = Queue(store, ref, build_sampler(ref.spec, owner.id), NopPruner())
            claim = None if end_of(store, ref) else queue.claim(owner)
            if claim is None:
                self.pids = ()
                return
            values = claim.suggest(lambda trial: suggest(ref.spec, trial))
            config = ref.spec.resolve(values).config
            scores = scores_of(config.flat())
            keep(claim.run_id, config, scores)
            claim.report(1, scores["k_loc"])
            result = TrialResult("complete", "finished", scores["k_loc"])
            claim.finish(self._office.ends.get(claim.run_id, result))
            self._office.trained.append(claim.run_id)


def scores_of(config: Mapping[str, Any]) -> dict[str, float]:
    """Better by each weight that helps, worse by each that does not."""
    gain = sum(
        float(config[path]) * (1 if path in HELPS else -1)
        for path in ("loss.subspace", "loss.cross")
    )
    return {"k_loc": 5.0 - gain, "k_acc": 0.5 + 0.1 * gain, "success_rate": 0.25 + 0.1 * gain}


def keep(run: str, config: RunConfig, scores: Mapping[str, float]) -> None:
    """A run with one checkpoint of these scores."""
    put(create_run(run, config, curriculum(config)), scores)


def put(folder: RunFolder, scores: Mapping[str, float]) -> None:
    """A checkpoint of these scores in a new attempt at a run."""
    store = folder.begin({})
    tree, kept = config_tree(folder.config()), checkpoint()
    scores = {**kept.scores, **scores}
    store.save(replace(kept, run_id=folder.run_id, config=tree, scores=scores))


@cache
def checkpoint() -> Checkpoint:
    (kept,) = checkpoints(1)
    return kept


Employ = Callable[..., Office]
