"""Makes a home with one large study that is over, as a search leaves it: stores, runs and records.

Nothing is trained: scores are made up, and every trial has the same small checkpoints. Everything
else is written by the package's own code, without waiting for the disk.

    python benchmarks/large_home.py --home DIR [--trials 1000] [--epochs 30] [--space wide]
"""

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from large_records import copy_records
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import JsonValue
from sqlalchemy import insert

sys.path.append(str(Path(__file__).parents[1]))

from risexp.app.run.sync import init_store, sync
from risexp.app.search.study_record import opening, say_of_study, study_labels
from risexp.callbacks.recorder import LastConfusions, Recorder
from risexp.hpo.search.parameters import distribution, stored, suggest
from risexp.hpo.search.pruning_callback import PRUNING_COUNTS
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.schema import ATTEMPTS
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.study import REASON, SLOT, StudyRef, run_id
from risexp.hpo.studies.table import study_table
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.folder import RunFolder, create_run, list_runs, runs_home
from risexp.runs.journal import utc_ms
from risexp.runs.metrics import GUARDS
from risexp.runs.outcome import Outcome, complete, failed, pruned
from risexp.runs.spec import EXPERIMENT, Parent, write_labels
from risexp.space.files import load_space
from risexp.space.study_spec import StudySpec
from risexp.tracking.schema import opened
from risexp.tracking.stores import chosen_store, in_environment
from risexp.tracking.study_run import write_study_run
from risexp.training.checkpoint import config_tree
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, Event
from tests.support.recorded_runs import SCORES, Told, ended_of, followed
from tests.support.trainers import checkpoints
from tests.support.uploads import confused

ENVIRONMENT = {"risexp": "0", "python": "3", "packages": {}, "threads": 1, "device": "cpu"}
STUDY = "large"
PRUNED, FAILED = 0.6, 0.01
"""Shares of the trials that end so; the others complete."""
STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Past:
    """A trial that has ended."""

    number: int
    values: Mapping[str, JsonValue]
    scores: Sequence[float]
    """k_loc of its epochs, from the first on."""
    outcome: Outcome

    @property
    def run(self) -> str:
        """The name of its run."""
        return run_id(STUDY, self.number)


def main() -> None:
    """Make the home."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--space", default="wide")
    given = parser.parse_args()
    given.home.mkdir(parents=True)
    os.environ["RISEXP_HOME"] = str(given.home)
    os.fsync = _no_wait
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spec = StudySpec.of(load_space(given.space), epochs=given.epochs, patience=given.epochs)
    trials = [drawn(spec, number) for number in range(given.trials)]
    began = time.process_time()
    with closing(open_store()) as store:
        study = make_study(store, spec, trials)
        _told("study", began)
        make_runs(study, trials)
        _told("runs", began)
        make_records(store, study)
        _told("records", began)


def drawn(spec: StudySpec, number: int) -> Past:
    """A trial of random values; its scores fall towards a floor of its own."""
    source = random.Random(number)  # noqa: S311 - no secret is drawn
    values = spec.space.draw(spec.base, source) if number else spec.base_values()
    epochs, floor = spec.base.training.epochs, 1.5 + 3.0 * source.random() ** 0.5
    scores = [
        floor + 4.0 * math.exp(-epoch / 6.0) + source.gauss(0.0, 0.05) for epoch in range(epochs)
    ]
    dice = source.random() if number else 1.0
    if dice < PRUNED:
        ended = source.randint(epochs // 3, epochs - 1)
        return Past(number, values, scores[:ended], pruned("others are better"))
    if dice < PRUNED + FAILED:
        return Past(number, values, scores[: epochs // 2], failed(ValueError("planted")))
    return Past(number, values, scores, complete("finished", epochs))


def make_study(store: StudyStore, spec: StudySpec, trials: Sequence[Past]) -> StudyRef:
    """The study and its trials, each with one ended attempt."""
    start = StudyStart.new(spec)
    study = start.open(store, STUDY, 1)
    _search_first(store, study, trials[0])
    for trial in trials[1:]:
        store.storage.create_new_trial(study.id, _trial(spec, trial))
    ids = {each.number: each.trial_id for each in store.storage.list_trials(study.id)}
    now = time.time()
    rows = [
        {
            "study": study.uid,
            "trial_id": ids[trial.number],
            "attempt": 1,
            "owner": f"pool.{trial.number % 8}",
            "host": "host",
            "pid": 1,
            "device": "cpu",
            "run_id": trial.run,
            "began_at": now - 60.0 * len(trial.scores),
            "expires_at": now,
            "ended_at": now,
            "ended": "finished",
            "parameters": json.dumps(stored(spec.space.vary, trial.values), sort_keys=True),
        }
        for trial in trials[1:]
    ]
    store.write(lambda connection: connection.execute(insert(ATTEMPTS), rows))
    return start.open(store, STUDY, len(trials))


def _search_first(store: StudyStore, study: StudyRef, trial: Past) -> None:
    """The trial that a study begins with, searched as a worker does."""
    owner = LeaseOwner("pool.0", "host", 1)
    claim = Queue(store, study, RandomSampler(), NopPruner()).claim(owner)
    if claim is None:
        raise SystemExit("the new study has no trial to claim")
    claim.suggest(lambda each: suggest(study.spec, each))
    for epoch, score in enumerate(trial.scores, start=1):
        claim.report(epoch, score)
    claim.finish(TrialResult("complete", trial.outcome.reason, min(trial.scores)))


def _trial(spec: StudySpec, trial: Past) -> FrozenTrial:
    status, checks = trial.outcome.status, len(trial.scores)
    counts = {"reports": checks, "different": 0, "asked": checks, "able": checks // 2}
    return create_trial(
        state=STATES[status],
        value=min(trial.scores) if status == "complete" else None,
        params=stored(spec.space.vary, trial.values),
        distributions={path: distribution(spec.space.vary[path]) for path in trial.values},
        user_attrs={SLOT: trial.number, REASON: trial.outcome.reason, PRUNING_COUNTS: counts},
        intermediate_values=dict(enumerate(trial.scores, start=1)),
    )


def make_runs(study: StudyRef, trials: Sequence[Past]) -> None:
    """A folder for each trial, with journal, checkpoints and outcome."""
    labels = study_labels(study, study.spec.space.base, chosen_store(None))
    kept = checkpoints(3)
    for trial in trials:
        config = study.spec.resolve(trial.values).config
        folder = create_run(trial.run, config, curriculum(config))
        write_labels(folder.path, replace(labels, trial=trial.number, searched=trial.values))
        store = folder.begin({**ENVIRONMENT, "config": trial.number % 2})
        _train(folder, trial)
        for each in kept:
            store.save(replace(each, run_id=trial.run, config=config_tree(config)))
        folder.close(trial.outcome)


def _train(folder: RunFolder, trial: Past) -> None:
    """Write the journal of a run that ends with the trial's last epoch."""
    confusions = LastConfusions()

    def validated(event: Event) -> None:
        if isinstance(event, EpochEnded):
            confusions.see(confused(event.plan.epoch))

    trainer = Told(
        folder.plans()[: len(trial.scores)],
        lambda plan: ended_of(plan, {**SCORES, "k_loc": trial.scores[plan.epoch - 1]}),
    )
    guards = dict.fromkeys(GUARDS, 0.0)
    followed(trainer, validated, Recorder(folder.open_journal(), lambda: guards, dict, confusions))


def make_records(store: StudyStore, study: StudyRef) -> None:
    """What MLflow has of the runs and of their study."""
    place = chosen_store(None)
    if place is None or place.database is None:
        raise SystemExit("RISEXP_TRACKING_URI names another store: unset it")
    init_store(None)
    with in_environment(place):
        experiment = opened(place).experiment(EXPERIMENT)
        parent = Parent(study.name, study.uid, utc_ms())
        write_study_run(opened(place), runs_home(), parent, opening(study), experiment)
    first, *others = list_runs()
    sync((first.run_id,), None)
    copy_records(place.database, first, others)
    say_of_study(place, study, study_table(store, study))


def _no_wait(fd: object) -> None:
    del fd


def _told(what: str, began: float) -> None:
    print(f"{what} made after {time.process_time() - began:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
