"""Eight workers among thousands of waiting trials: each trial is done once, and none costs more."""

import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from risexp.hpo.store.leases import LeaseOwner
from risexp.hpo.store.schema import STAMP, database_clock
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import end_study, find_study
from risexp.hpo.trials.trial_result import TrialResult
from tests.support.worker_processes import (
    NAME,
    begun,
    draw,
    exit_codes,
    opened,
    owner,
    queue_of,
    score,
    start,
    states,
    toy_study,
    violations,
)

WORKERS, ALONE = 8, 10
"""Workers at once, and trials that one worker does before them."""
Times = dict[str, list[float]]
"""Seconds of every call of a worker, by its name and in its order."""


def work_and_time(url: str, me: LeaseOwner, most: int, log: Path) -> None:
    """A worker that does its share of trials, and leaves the time of every call in a file."""
    times: Times = defaultdict(list)

    @contextmanager
    def timed(call: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        times[call].append(time.perf_counter() - began)

    with opened(url) as store:
        queue = queue_of(store, find_study(store, NAME))
        for _ in range(most):
            with timed("claim"):
                claim = queue.claim(me)
            if claim is None:
                break
            with timed("suggest"):
                drawn = claim.suggest(draw)
            with timed("report"):
                claim.report(1, score(drawn, 1))
            with timed("finish"):
                claim.finish(TrialResult("complete", "finished", score(drawn, 1)))
            with timed("bare write"):
                write(store)
    log.write_text(json.dumps(times), "utf-8")


def write(store: StudyStore) -> None:
    """The smallest transaction that there is: what the database and this machine take for it."""
    touch = update(STAMP).values(touched_at=database_clock(store.engine))
    store.write(lambda connection: connection.execute(touch))


@pytest.mark.fault("F17")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("waiting", "share"),
    [
        pytest.param(1_000, 8, id="1000 wait", marks=pytest.mark.slow),
        pytest.param(1_000, 1_000, id="1000 are done", marks=pytest.mark.soak),
        pytest.param(10_000, 10_000, id="10000 are done", marks=pytest.mark.soak),
    ],
)
def test_eight_workers_do_each_of_many_trials_once(
    url: str,
    waiting: int,
    share: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    with opened(url) as store:
        began = time.perf_counter()
        study = toy_study(store, waiting)
        created_s = time.perf_counter() - began
        alone, log = owner(), tmp_path / "alone.json"
        work_and_time(url, alone, ALONE, log)
        tell(record_property, "1 worker alone", [json.loads(log.read_text("utf-8"))])
        logs = {owner(): tmp_path / f"{index}.json" for index in range(WORKERS)}
        began = time.perf_counter()

        workers = [start(work_and_time, url, me, share, log) for me, log in logs.items()]

        assert [0] * WORKERS == exit_codes(*workers, limit_s=7000.0)
        seconds = time.perf_counter() - began
        times = [json.loads(log.read_text("utf-8")) for log in logs.values()]
        done = ALONE + sum(len(each["finish"]) for each in times)
        assert min(ALONE + WORKERS * share, waiting) == done
        if done < waiting:
            end_study(store, study, "enough are done")
        assert [] == violations(store, study)
        assert Counter(complete=done, waiting=waiting - done) == +Counter(states(store, study))
        attempts = begun(store, study)
        assert done == len(attempts) == len({each.run_id for each in attempts})
        assert {me.id for me in (alone, *logs)} == {each.lease.owner for each in attempts}
        assert {"finished"} == {each.ended for each in attempts}
        record_property("injected", done - 1)
        created = f"{waiting} trials created in {created_s:.0f} s"
        record_property("figure", f"{created}, {done - ALONE} of them done in {seconds:.0f} s")
        tell(record_property, f"{WORKERS} workers", times)


def tell(record_property: Callable[[str, object], None], who: str, times: list[Times]) -> None:
    """The median times of calls, for the table of faults."""
    medians = [
        f"{call} {1e3 * statistics.median(second for each in times for second in each[call]):.0f}"
        for call in times[0]
    ]
    record_property("figure", f"{who}, median ms: {', '.join(medians)}")
