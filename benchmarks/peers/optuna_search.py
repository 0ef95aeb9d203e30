"""Stock Optuna as its documentation has it: workers that optimise one study, and a restarter.

On a database: heartbeats, stale trials retried without a limit by Optuna's callback, intermediate
values inherited, and the recipe that goes on from the checkpoint of the first attempt. On a journal
file Optuna has no heartbeats. A worker that ended before the study has its trials is restarted.

    python -m peers.optuna_search SETTINGS [--clean]
"""

import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import optuna
from optuna import Study, Trial
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
    fail_stale_trials,
)
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from peers.forked import DATABASES, SERVER, Forked
from peers.toy import HIGH, LOW, NAME, Settings, State, train

HEARTBEAT_S: Final = 1
"""The shortest that Optuna allows; a trial is stale after twice that, its own default ratio."""
GRACE_S: Final = 2 * HEARTBEAT_S
_LOOK_S: Final = 0.1


def storage_of(settings: Settings) -> BaseStorage:
    """The storage, with what Optuna offers against deaths."""
    scheme, _, rest = settings.url.partition("://")
    if scheme == "journal":
        return JournalStorage(JournalFileBackend(rest))
    options: dict[str, Any] = {"connect_args": {"timeout": 60}}
    if scheme != "sqlite":
        options = {"pool_pre_ping": True}
    return RDBStorage(
        settings.url.replace("postgresql:", "postgresql+psycopg:", 1),
        engine_kwargs=options,
        heartbeat_interval=HEARTBEAT_S,
        grace_period=GRACE_S,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
            inherit_intermediate_values=True
        ),
    )


def objective(settings: Settings) -> Callable[[Trial], float]:
    """Train a trial from the checkpoint of its first attempt."""

    def train_trial(trial: Trial) -> float:
        rate = trial.suggest_float("lr", LOW, HIGH, log=True)
        # The recipe gives the trial itself, which Optuna 5.0 answers with an AttributeError.
        frozen = trial.study.get_trials(deepcopy=False)[trial.number]
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(frozen)
        number = trial.number if first is None else first
        folder = Path(settings.folder) / "checkpoints" / str(number)

        def keep(state: State) -> None:
            state.save(folder)
            if state.epoch not in frozen.intermediate_values:
                trial.report(state.loss, state.epoch)

        return train(settings, str(number), State.load(folder), rate, keep)

    return train_trial


def work(_parent: Connection, settings: Settings) -> None:
    """A worker: optimise until the study has its complete trials."""
    _quiet()
    study = optuna.load_study(
        study_name=NAME, storage=storage_of(settings), sampler=RandomSampler()
    )
    if not _done(study, settings):
        study.optimize(
            objective(settings),
            callbacks=[MaxTrialsCallback(settings.trials, states=(TrialState.COMPLETE,))],
        )


def main() -> None:
    """Search, or with `--clean` fail the trials that are stale and have them wait again."""
    settings = Settings.read()
    _quiet()
    storage = storage_of(settings)
    study = optuna.create_study(study_name=NAME, storage=storage, load_if_exists=True)
    if "--clean" in sys.argv:
        fail_stale_trials(study)
        return
    SERVER.set_forkserver_preload(["peers.optuna_search", *DATABASES])
    workers = [_start(settings) for _ in range(settings.workers)]
    while any(worker.poll() is None for worker in workers):
        time.sleep(_LOOK_S)
        dead = [index for index, worker in enumerate(workers) if worker.poll() not in {None, 0}]
        if dead and not _patiently_done(study, settings):
            for index in dead:
                workers[index] = _start(settings)


def _start(settings: Settings) -> Forked:
    return Forked(work, settings, crashed=lambda pid: settings.trace.write("", "crash", 0, pid))


def _done(study: Study, settings: Settings) -> bool:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return len(complete) >= settings.trials


def _patiently_done(study: Study, settings: Settings) -> bool:
    """Whether the study has its trials; a database that is away is asked again."""
    while True:
        try:
            return _done(study, settings)
        except Exception as error:  # noqa: BLE001 - the restarter is no part of what is compared
            print(f"the database is away: {type(error).__name__}", flush=True)
            time.sleep(_LOOK_S)


def _quiet() -> None:
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


if __name__ == "__main__":
    main()
