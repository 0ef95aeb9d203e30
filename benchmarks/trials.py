"""Speed of a search's bookkeeping: trials and reports a second, and recovery from a death.

Workers only use the database; plain Optuna runs its own loop for comparison, without leases and
without a budget. One process is killed amid a trial, and the time is measured until another one can
claim it.

    python benchmarks/trials.py [--url URL] [--workers 1,4,8] [--trials N] [--waiting N] [--json]
"""

import argparse
import json
import logging
import multiprocessing
import os
import socket
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection

import optuna
from optuna import Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from risexp.hpo.store.address import address_of
from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study, open_study
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.trial_result import TrialResult

REPORTS = 10
SPAWN = multiprocessing.get_context("spawn")


def draw(trial: Trial) -> float:
    """Ten parameters."""
    return sum(trial.suggest_float(f"x{index}", 0.0, 1.0) for index in range(10))


def queue_of(store: StudyStore, study: StudyRef) -> Queue:
    """A worker's access to a study, with a fast sampler."""
    return Queue(store, study, RandomSampler(), MedianPruner())


def me() -> LeaseOwner:
    """This process as a worker."""
    return LeaseOwner(uuid.uuid4().hex, socket.gethostname(), os.getpid())


def ours(url: str, name: str, ready: Connection) -> None:
    """Claim, suggest, report and finish until no trial waits; sends 0 trials taken twice."""
    store = open_store(url)
    queue, worker = queue_of(store, find_study(store, name)), me()
    ready.send(None)
    ready.recv()
    while (claim := queue.claim(worker)) is not None:
        value = claim.suggest(draw)
        for step in range(1, REPORTS + 1):
            claim.report(step, value / step)
            claim.should_prune()
        claim.finish(TrialResult("complete", "finished", value))
    ready.send(0)


def plain(url: str, name: str, ready: Connection) -> None:
    """The same with Optuna's own queue, which on SQLite gives one trial to several workers."""
    warnings.simplefilter("ignore")  # about steps that another worker has reported
    connect = {"timeout": 60.0} if address_of(url).path else {}
    storage = RDBStorage(address_of(url).text, {"connect_args": connect}, skip_table_creation=True)
    study = optuna.load_study(study_name=name, storage=storage, sampler=RandomSampler())
    ready.send(None)
    ready.recv()
    twice = 0
    while study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        trial = study.ask()
        try:
            value = draw(trial)
            for step in range(1, REPORTS + 1):
                trial.report(value / step, step)
                trial.should_prune()
            study.tell(trial, value)
        except (UpdateFinishedTrialError, ValueError):
            twice += 1
    ready.send(twice)


def timed(
    loop: Callable[[str, str, Connection], None], url: str, name: str, workers: int
) -> tuple[float, int]:
    """Seconds until all workers are done, and the number of trials taken twice."""
    pipes = [SPAWN.Pipe() for _ in range(workers)]
    processes = [SPAWN.Process(target=loop, args=(url, name, end)) for _, end in pipes]
    for process in processes:
        process.start()
    for start, _ in pipes:
        start.recv()
    began = time.perf_counter()
    for start, _ in pipes:
        start.send(None)
    twice = sum(start.recv() for start, _ in pipes)
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds, twice


def rates(store: StudyStore, workers: int, trials: int) -> dict[str, float]:
    """Trials and reports a second, ours and plain Optuna's."""
    found = {}
    for label, loop in (("ours", ours), ("optuna", plain)):
        name = f"{label}-{workers}-{uuid.uuid4().hex[:6]}"
        study = open_study(store, name, trials, {})
        seconds, twice = timed(loop, store.url, name, workers)
        done = len(store.storage.list_trials(study.id, (TrialState.COMPLETE,)))
        found[f"{label}_trials_per_s"] = done / seconds
        found[f"{label}_reports_per_s"] = done * REPORTS / seconds
        found[f"{label}_taken_twice"] = twice
    return found


def hold(url: str, name: str, ready: Connection) -> None:
    """Claim a trial, say by whom, and wait to be killed."""
    store = open_store(url)
    claim = queue_of(store, find_study(store, name)).claim(me())
    ready.send(None if claim is None else claim.lease.owner)
    ready.recv()


def recovery(store: StudyStore, times: int) -> list[float]:
    """Seconds from the end of a worker that is seen to another one's claim of its trial."""
    study = open_study(store, f"dead-{uuid.uuid4().hex[:6]}", times, {})
    queue = queue_of(store, study)
    reaper, found = Reaper(queue.leases, study), []
    for _ in range(times):
        parent, child = SPAWN.Pipe()
        process = SPAWN.Process(target=hold, args=(store.url, study.name, child))
        process.start()
        owner = parent.recv()
        began = time.perf_counter()
        process.kill()
        process.join()
        reaper.abandon(owner)
        claim = queue.claim(me())
        found.append(time.perf_counter() - began)
        if claim is not None:
            claim.finish(TrialResult("failed", "benchmark"))
    return found


def latency(store: StudyStore, waiting: int) -> dict[str, float]:
    """What one claim, its suggestion and a report take among so many that wait."""
    began = time.perf_counter()
    study = open_study(store, f"many-{uuid.uuid4().hex[:6]}", waiting, {})
    found = {"created_s": time.perf_counter() - began}
    queue = Queue(store, study, TPESampler(n_startup_trials=5), MedianPruner())
    spent: dict[str, list[float]] = {"claim": [], "suggest": [], "report": [], "finish": []}
    for _ in range(20):
        marks = [time.perf_counter()]
        claim = queue.claim(me())
        assert claim is not None  # noqa: S101 - as many wait
        marks.append(time.perf_counter())
        value = claim.suggest(draw)
        marks.append(time.perf_counter())
        claim.report(1, value)
        claim.should_prune()
        marks.append(time.perf_counter())
        claim.finish(TrialResult("complete", "finished", value))
        marks.append(time.perf_counter())
        for name, start, end in zip(spent, marks, marks[1:], strict=False):
            spent[name].append(end - start)
    return found | {
        f"{name}_ms": 1e3 * sorted(each)[len(each) // 2] for name, each in spent.items()
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of the database; a new file if not given")
    parser.add_argument("--workers", default="1,4,8")
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    optuna.logging.set_verbosity(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(given.url or f"sqlite:///{folder}/optuna.db")
        found: dict[str, object] = {
            f"{workers} workers": rates(store, int(workers), given.trials)
            for workers in given.workers.split(",")
        }
        found["recovery_s"] = [round(each, 3) for each in recovery(store, 5)]
        found[f"{given.waiting} waiting"] = latency(store, given.waiting)
        store.close()
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
