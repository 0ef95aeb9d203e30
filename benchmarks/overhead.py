"""The share of time that a search's bookkeeping takes, compared with plain MLflow and Optuna.

Both arms train the same small runs in the same number of processes. Ours are workers with leases,
journals and an uploader; the other arm calls `mlflow.log_metrics`, `trial.report` and
`trial.should_prune` in its loop, and `study.optimize` around it. Every callback is timed.

    python benchmarks/overhead.py [--workers N] [--trials N] [--epochs N] [--scenes N] [--json]
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mlflow
import optuna
import torch
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import resume_run
from risexp.app.search.study_record import StudyUploader, study_labels
from risexp.app.search.worker import owner_of, trial_folder
from risexp.callbacks.run_loop import Callbacks
from risexp.callbacks.signals import SignalCallback
from risexp.hpo.store.store import find_store, open_store
from risexp.hpo.studies.study import SPEC, find_study, open_study
from risexp.hpo.workers.worker import Job, JobResult, Worker
from risexp.runs.folder import create_run
from risexp.space.spec import SCORE, SearchSpace
from risexp.space.study_spec import StudySpec
from risexp.tracking.stores import chosen_store
from risexp.training.curriculum import curriculum
from risexp.training.events import EpochEnded, Event

SPAWN = multiprocessing.get_context("spawn")
CPU = Machine(torch.device("cpu"), 1)
STUDY = "overhead"
RATE = "training.optimizer.lr"
LOW, HIGH = 1e-3, 3e-3
KEYS = 45
"""About the number of values that our record has per epoch."""
OURS = (
    "Recorder",
    "ConfusionRecorder",
    "PruningCallback",
    "PruningCallback.enforce",
    "StudyEndCheck",
    "TimeLimit",
    "LeaseGuard",
)
"""Our callbacks that track, report, prune, and hold the lease."""
FLUENT = ("log", "report")


@dataclass(frozen=True)
class Size:
    """Number and length of the runs, and number of processes."""

    workers: int
    trials: int
    epochs: int
    scenes: int

    def space(self) -> SearchSpace:
        """A space over the learning rate, so that all runs take the same time."""
        return SearchSpace.model_validate(
            {
                "name": STUDY,
                "base": "small",
                "trials": self.trials,
                "fixed": {
                    "training.epochs": self.epochs,
                    "training.scenes_per_epoch": self.scenes,
                    "validation.calibration_scenes": 256,
                },
                "vary": {RATE: {"kind": "log", "low": LOW, "high": HIGH}},
                "sampler": {"kind": "random"},
                "pruner": {"kind": "median", "startup": 1, "warmup": 1},
            }
        )


@dataclass
class Clock:
    """Times every call of every callback."""

    spent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def within(self, callback: Callable[[Any], object]) -> Callable[[Any], None]:
        """The same callback, timed when it is called after an epoch."""
        name = getattr(callback, "__qualname__", type(callback).__name__).rpartition("<locals>.")[2]

        def timed(event: Any) -> None:  # noqa: ANN401 - an event or an outcome
            began = time.perf_counter()
            try:
                callback(event)
            finally:
                if isinstance(event, EpochEnded):
                    self.add(name, began)

        return timed

    def add(self, name: str, began: float) -> None:
        """Add a call."""
        self.spent[name].append(time.perf_counter() - began)


def ours(_size: Size, ready: Connection) -> None:
    """Work on the study as `risexp hpo` does."""
    clock, store = Clock(), find_store(None)
    study = find_study(store, STUDY)
    labels = study_labels(study, "small", chosen_store(None))

    def train(job: Job) -> JobResult:
        began = time.perf_counter()
        callbacks = replace(
            job.callbacks,
            first=tuple(map(clock.within, job.callbacks.first)),
            write_guard=lambda write: job.callbacks.write_guard(clock.within(write)),
        )
        finished = resume_run(trial_folder(job, labels), CPU, Console(quiet=True), callbacks)
        clock.add("wall", began)
        best = finished.best
        return JobResult(finished.outcome, None if best is None else best.scores[SCORE])

    worker = Worker(store, study, owner_of("benchmark", os.getpid()), train, SignalCallback())
    ready.send(None)
    ready.recv()
    worker.run(lambda _: None)
    store.close()
    ready.send(dict(clock.spent))


def fluent(size: Size, ready: Connection) -> None:
    """Call MLflow and Optuna in the loop, a share of the trials."""
    clock, study_spec = Clock(), StudySpec.of(size.space())
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/fluent.db")
    mlflow.set_experiment(STUDY)

    def objective(trial: optuna.Trial) -> float:
        scores: list[float] = []
        loaded = study_spec.resolve({RATE: trial.suggest_float(RATE, LOW, HIGH, log=True)})
        folder = create_run(f"fluent-{trial.number}", loaded.config, curriculum(loaded.config))

        def log(event: Event) -> None:
            if isinstance(event, EpochEnded):
                values = {f"value/{index}": float(index) for index in range(KEYS)}
                mlflow.log_metrics(values, step=event.plan.epoch)

        def report(event: Event) -> None:
            if isinstance(event, EpochEnded):
                scores.append(event.scores[SCORE])
                trial.report(scores[-1], event.plan.epoch)
                trial.should_prune()

        began = time.perf_counter()
        with mlflow.start_run():
            callbacks = Callbacks(recorders=(log, report), write_guard=clock.within)
            resume_run(folder, CPU, Console(quiet=True), callbacks)
        clock.add("wall", began)
        return min(scores)

    connect = {"connect_args": {"timeout": 60.0}}
    storage = RDBStorage(f"sqlite:///{Path.cwd()}/plain.db", connect, skip_table_creation=True)
    pruner = MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.load_study(
        study_name=STUDY, storage=storage, sampler=RandomSampler(), pruner=pruner
    )
    ready.send(None)
    ready.recv()
    study.optimize(objective, n_trials=size.trials // size.workers)
    ready.send(dict(clock.spent))


def raced(
    arm: Callable[[Size, Connection], None], size: Size
) -> tuple[float, dict[str, list[float]]]:
    """Seconds until all processes of an arm are done, and the times of every callback."""
    pipes = [SPAWN.Pipe() for _ in range(size.workers)]
    processes = [SPAWN.Process(target=arm, args=(size, end)) for _, end in pipes]
    for process in processes:
        process.start()
    for start, _ in pipes:
        start.recv()
    began = time.perf_counter()
    for start, _ in pipes:
        start.send(None)
    found: dict[str, list[float]] = defaultdict(list)
    for start, _ in pipes:
        for name, spent in start.recv().items():
            found[name] += spent
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds, found


def of_ours(size: Size) -> dict[str, Any]:
    """A study with its uploader, as `risexp hpo` runs it."""
    with closing(open_store(None)) as store:
        facts = {SPEC: StudySpec.of(size.space()).as_json()}
        study = open_study(store, STUDY, size.trials, facts)
        before = resource.getrusage(resource.RUSAGE_SELF)
        with StudyUploader(study, chosen_store(None)) as record:
            seconds, spent = raced(ours, size)
        after = resource.getrusage(resource.RUSAGE_SELF)
        uploader_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found = summary(spent, OURS, ("PruningCallback", "PruningCallback.enforce"))
        return found | {"seconds": seconds, "sender_cpu_s": uploader_s, "unsent": record.unsent()}


def of_fluent(size: Size) -> dict[str, Any]:
    """The same runs with MLflow's and Optuna's own loops; their schemas exist already."""
    optuna.create_study(study_name=STUDY, storage=f"sqlite:///{Path.cwd()}/plain.db")
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/fluent.db")
    mlflow.create_experiment(STUDY)
    seconds, spent = raced(fluent, size)
    return summary(spent, FLUENT, ("report",)) | {"seconds": seconds}


def summary(
    spent: Mapping[str, list[float]], callbacks: tuple[str, ...], pruning: tuple[str, ...]
) -> dict[str, Any]:
    """The callbacks' share of the runs' time, and the time of a report and a check."""
    pairs = [sum(each) for each in zip(*(spent[name] for name in pruning), strict=True)]
    return {
        "share": sum(sum(spent.get(name, ())) for name in callbacks) / sum(spent["wall"]),
        "report_and_ask_ms": 1e3 * statistics.median(pairs),
        "report_and_ask_worst_ms": 1e3 * max(pairs),
        "epochs": len(pairs),
        "epoch_s": sum(spent["wall"]) / len(pairs),
        "ms_an_epoch": {
            name: 1e3 * statistics.mean(each) for name, each in spent.items() if name != "wall"
        },
    }


def main() -> None:
    """Measure both arms, one after the other, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--scenes", type=int, default=4096, help="of an epoch")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    size = Size(given.workers, given.trials, given.epochs, given.scenes)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RISEXP_HOME"] = folder
        os.chdir(folder)
        found = {"size": asdict(size), "ours": of_ours(size), "fluent": of_fluent(size)}
    if given.json:
        print(json.dumps(found))
        return
    for arm in ("ours", "fluent"):
        print(arm)
        for name, value in found[arm].items():
            print(f"  {name}: {value}")


if __name__ == "__main__":
    main()
