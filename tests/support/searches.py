"""Searches as the tests need them: a space whose trials are trained in a blink, and its trials."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import JsonValue

from risexp.app.run.machine import Machine
from risexp.app.search.study_record import study_labels
from risexp.app.search.trial import train_trial
from risexp.hpo.search.parameters import stored, suggest
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.facts import facts_from_spec, spec_from_facts
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.start_points import base_point
from risexp.hpo.studies.study import StudyPlan, StudyRef, open_study
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.worker import Job, JobResult, Train, Worker
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from tests.support.spaces import planted
from tests.support.worker_processes import owner, queue_of

BLINK: Mapping[str, object] = {
    "training.epochs": 3,
    "training.scenes_per_epoch": 32,
    "training.batch": 16,
    "validation.scenes": 16,
    "validation.calibration_scenes": 16,
}
"""A run that shows nothing but that it runs."""
RATE: Mapping[str, object] = {"training.optimizer.lr": {"kind": "log", "low": 1e-4, "high": 1e-2}}
CPU = Machine(torch.device("cpu"), 1)


def tiny(**more: Any) -> SearchSpace:  # noqa: ANN401 - whatever a file may say
    """A space over the learning rate of such runs."""
    said = {"base": "smoke", "fixed": dict(BLINK), "pruner": {"kind": "none"}, **more}
    return planted(RATE, **said)


def begun(
    store: StudyStore, name: str, trials: int = 1, space: SearchSpace | None = None
) -> StudyRef:
    """A study of such a space, with nobody at work; or the same one, opened again."""
    charter = StudySpec.of(tiny() if space is None else space)
    return open_study(store, StudyStart.new(charter, (base_point(charter),), {}).plan(name, trials))


Past = tuple[Mapping[str, JsonValue], Sequence[float], TrialResult]
"""What a trial had, what it reported from epoch 1 on, and how it ended."""


def past(store: StudyStore, name: str, charter: StudySpec, trials: Sequence[Past]) -> StudyRef:
    """A study that is over, of these trials."""
    given = [stored(charter.space.vary, values) for values, _, _ in trials]
    study = open_study(store, StudyPlan(name, len(trials), facts_from_spec(charter), given))
    queue = queue_of(store, study)
    for _, reports, ending in trials:
        claim = queue.claim(owner())
        assert claim is not None
        claim.suggest(lambda trial: suggest(charter, trial))
        for epoch, score in enumerate(reports, start=1):
            claim.report(epoch, score)
        claim.finish(ending)
    return study


def train(job: Job, study: StudyRef, machine: Machine = CPU) -> JobResult:
    """A trial, trained as a worker's process trains it."""
    return train_trial(job, machine, study_labels(study, "smoke", None))


def work(store: StudyStore, study: StudyRef, how: Train) -> tuple[int, list[str]]:
    """The exit code of one worker, and what it said."""
    said: list[str] = []
    worker = Worker(store, study, spec_from_facts(study.name, study.facts), owner(), how)
    return worker.run(said.append), said
