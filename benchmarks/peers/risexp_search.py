"""risexp's own supervisor and workers, with the toy in place of training.

Supervisor, pool, worker, claim, lease, heartbeat, reaper and the loop of callbacks are those of
`risexp hpo`. Left out are the check before a search, MLflow, and torch's training with its verified
checkpoints; workers come from a fork server, as stock Optuna's do here.

    python -m peers.risexp_search SETTINGS
"""

import os
import signal
from collections.abc import Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final
from unittest.mock import patch

import optuna
from rich.console import Console

from peers.forked import DATABASES, SERVER, Forked
from peers.toy import HIGH, LOW, NAME, Settings, State, train_epoch
from risexp.app.search.studies import StudyView, open_studies
from risexp.app.search.supervisor import Resources, Supervisor
from risexp.app.search.worker import owner_of, patient_store
from risexp.callbacks.guards import GuardCallback
from risexp.callbacks.run_loop import callback_order, run_loop
from risexp.callbacks.signals import SIGNALS, SignalCallback
from risexp.core.signals import SignalHandler
from risexp.hpo.store.address import STORE, store_url
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.start import StudyStart
from risexp.hpo.studies.study import find_study
from risexp.hpo.workers.pool import WorkerSpec, end_with_parent
from risexp.hpo.workers.worker import Job, JobResult, Worker
from risexp.space.spec import SCORE, SearchSpace
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, EpochStarted, Event
from risexp.training.meters import Losses, Steps
from risexp.training.plan import Plan
from risexp.training.progress import Progress

RATE: Final = "training.optimizer.lr"


def spec_of(settings: Settings) -> StudySpec:
    """A space of one dimension."""
    space = {
        "name": NAME,
        "base": "smoke",
        "trials": settings.trials,
        "fixed": {"training.epochs": settings.epochs},
        "vary": {RATE: {"kind": "log", "low": LOW, "high": HIGH}},
        "sampler": {"kind": "random"},
        "pruner": {"kind": "none"},
    }
    return StudySpec.of(SearchSpace.model_validate(space))


class ToyTrainer:
    """A trainer whose epochs are those of the toy."""

    batches = ()

    def __init__(self, job: Job, settings: Settings, folder: Path) -> None:
        self.plans = curriculum(job.config)
        self.state = State.load(folder)
        self._trial, self._settings = str(job.number), settings
        self._rate = float(str(job.values[RATE]))

    @property
    def progress(self) -> Progress:
        """Epochs so far."""
        return Progress(epoch=self.state.epoch)

    def run(self) -> Generator[Event, None, None]:
        """Train the remaining epochs."""
        trace = self._settings.trace
        trace.write(self._trial, "begin", self.state.epoch)
        for plan in self.plans[self.state.epoch :]:
            yield EpochStarted(plan)
            self.state = train_epoch(self._settings, self._trial, self.state, self._rate)
            yield _ended(plan, self.state.loss)
        trace.write(self._trial, "end", self.state.epoch)


def train_trial(job: Job, settings: Settings) -> JobResult:
    """Train a trial from its checkpoint, under the callbacks of a worker."""
    folder = Path(settings.folder) / "checkpoints" / str(job.number)
    trainer, mine = ToyTrainer(job, settings, folder), job.callbacks

    def save(event: Event) -> None:
        if isinstance(event, EpochEnded):
            trainer.state.save(folder)

    ordered = callback_order(GuardCallback([]), mine.recorders, save, mine.enders)
    outcome = run_loop(trainer, (*mine.first, *ordered), job.run_id, lambda _: None)
    return JobResult(outcome, trainer.state.loss)


def work(parent: Connection, command: tuple[str, ...], settings: Settings) -> int:
    """A worker of the pool, as `risexp worker` is one."""
    end_with_parent(parent.fileno(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    with SignalCallback() as signals, open_studies(patient_store(signals)) as store:
        study = find_study(store, NAME)
        owner = owner_of(command[command.index("--crew") + 1], os.getpid(), "cpu")
        worker = Worker(store, study, owner, lambda job: train_trial(job, settings), signals)
        return worker.run(lambda sentence: print(sentence, flush=True))


def main() -> None:
    """Search, or go on with a search."""
    settings = Settings.read()
    os.environ["RISEXP_HOME"] = settings.folder
    if settings.url:
        os.environ[STORE] = settings.url
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    SERVER.set_forkserver_preload(["peers.risexp_search", *DATABASES])

    def start(spec: WorkerSpec) -> Forked:
        crashed = lambda pid: settings.trace.write("", "crash", 0, pid)  # noqa: E731 - one call
        return Forked(work, tuple(spec.command), settings, crashed=crashed)

    store = open_store(store_url())
    study = StudyStart.new(spec_of(settings)).open(store, NAME, settings.trials)
    resources = Resources(workers=settings.workers, device="cpu", tracking="off")
    supervisor = Supervisor(store, study, resources, StudyView(Console()))
    with patch("risexp.hpo.workers.pool._start", start), SignalHandler(kinds=SIGNALS) as signals:
        raise SystemExit(supervisor.run(signals))


def _ended(plan: Plan, loss: float) -> EpochEnded:
    nan = float("nan")
    steps = Steps(0, 0, (), 0, {}, nan, nan, 0, {}, None, None)
    return EpochEnded(plan, Losses(0, nan, {}, {}), {SCORE: loss}, steps, (), None, 0, 0.0, 0.0)


if __name__ == "__main__":
    main()
