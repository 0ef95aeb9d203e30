"""Searches whose trials train in a blink, and studies whose trials have ended."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue

from risexp.app.run.machine import Machine
from risexp.app.search.study_record import study_labels
from risexp.app.search.worker import train_trial
from risexp.app.search.worker import work as work_alone
from risexp.hpo.search.parameters import stored, suggest
from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.study import SPEC, StudyRef, open_study
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerDeath, WorkerSpec
from risexp.hpo.workers.worker import Job, JobResult
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from tests.support.spaces import planted
from tests.support.worker_processes import opened, owner, queue_of

LR = "training.optimizer.lr"
BLINK: Mapping[str, object] = {
    "training.epochs": 3,
    "training.scenes_per_epoch": 32,
    "training.batch": 16,
    "validation.scenes": 16,
    "validation.calibration_scenes": 16,
}
"""The fields of a run that only shows that it runs."""
RATE: Mapping[str, object] = {LR: {"kind": "log", "low": 1e-4, "high": 1e-2}}
CPU = Machine(torch.device("cpu"), 1)


def tiny(**more: Any) -> SearchSpace:  # noqa: ANN401 - the parts of a space's file
    """A space over the learning rate of such runs."""
    return planted(
        RATE, **{"base": "smoke", "fixed": dict(BLINK), "pruner": {"kind": "none"}, **more}
    )


def begun(
    store: StudyStore, name: str, trials: int = 1, space: SearchSpace | None = None
) -> StudyRef:
    """A study of such a space without a worker; or the same one, opened again."""
    spec = StudySpec.of(tiny() if space is None else space)
    return StudyStart.new(spec).open(store, name, trials)


Past = tuple[Mapping[str, JsonValue], Sequence[float], TrialResult]
"""A trial's values, its reports from epoch 1 on, and its end."""


def past(store: StudyStore, name: str, spec: StudySpec, trials: Sequence[Past]) -> StudyRef:
    """A study that is over, of these trials."""
    points = [stored(spec.space.vary, values) for values, _, _ in trials]
    study = open_study(store, name, len(trials), {SPEC: spec.as_json()}, points)
    queue = queue_of(store, study)
    for _, reports, result in trials:
        claim = queue.claim(owner())
        assert claim is not None
        claim.suggest(lambda trial: suggest(spec, trial))
        for epoch, score in enumerate(reports, start=1):
            claim.report(epoch, score)
        claim.finish(result)
    return study


def past_rates(name: str, spec: StudySpec, scores: Mapping[float, float]) -> None:
    """A study at home with one complete trial for each learning rate, scored so."""
    trials = [
        ({LR: rate}, [score], TrialResult("complete", "finished", score))
        for rate, score in scores.items()
    ]
    with opened(embedded()) as store:
        past(store, name, spec, trials)


def train(job: Job, study: StudyRef, machine: Machine = CPU) -> JobResult:
    """A trial, trained as a worker's process trains it."""
    return train_trial(job, machine, study_labels(study, "smoke", None))


class EmptyPool:
    """A pool whose workers have all left."""

    pids: tuple[int, ...] = ()
    gave_up = False

    def __init__(self, specs: Sequence[WorkerSpec]) -> None:
        self.specs = specs

    def start(self) -> None: ...

    def look(self) -> list[WorkerDeath]:
        return []

    def progressed(self) -> None: ...

    def terminate(self) -> None: ...

    def end(self, _patience_s: float) -> None: ...


class PoolHere(EmptyPool):
    """A pool whose worker does all trials in this process, and leaves."""

    def start(self) -> None:
        words = self.specs[0].command
        work_alone(words[words.index("--study") + 1], CPU, None, None, lambda _: None)


def write_space(folder: Path, name: str, space: Mapping[str, object]) -> None:
    """Put the file of a space where commands in a folder find it."""
    (folder / "search_spaces").mkdir()
    (folder / "search_spaces" / f"{name}.yaml").write_text(json.dumps(space), encoding="utf-8")
