"""Kills workers of one search at random: no trial may be lost or be there twice.

The command searches a study of very small trials. Regularly one of its busy workers is killed
(SIGKILL), unless its trial would then fail for too many deaths. Printed are the ends of the trials,
how soon they continued, the doctor's checks, and whether killed trials have the same values, to the
bit, when they are trained undisturbed.

    python benchmarks/kills.py --home DIR [--url URL | --postgres] [--kills 20] [--workers 4]
        [--trials 24] [--every 1.6] [--seed 1] [--again 6] [--json]
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from risexp.app.doctor.check import Diagnosis
from risexp.app.doctor.examine import examine
from risexp.app.run.reproduce import recalled, reproduce
from risexp.errors import InvalidInput
from risexp.hpo.store.address import STORE, store_url
from risexp.hpo.store.leases import Attempt, Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.study import StudyRef, find_study, run_id
from risexp.hpo.trials.invariants import FINAL
from risexp.hpo.trials.reaper import MOST_DEATHS, is_poison
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.runs.folder import find_run, is_run
from risexp.runs.journal import STARTED, Note, read_journal
from risexp.tracking.stores import OFF

STUDY: Final = "kills"
SPACE: Final = {
    "base": "smoke",
    "trials": 24,
    "fixed": {
        "training.epochs": 8,
        "training.scenes_per_epoch": 512,
        "validation.scenes": 64,
        "validation.calibration_scenes": 64,
    },
    "vary": {
        "training.optimizer.lr": {"kind": "log", "low": 3e-4, "high": 1e-2},
        "loss.count": {"kind": "uniform", "low": 0.2, "high": 2.0},
    },
    "pruner": {"kind": "none"},
}
"""Trials of some seconds; none is pruned, so that all have to be complete."""


@dataclass(frozen=True)
class Kill:
    """One kill."""

    at: float
    """Seconds since 1970."""
    trial_id: int
    attempt: int
    run: str


@dataclass(frozen=True)
class Row:
    """The state of the study in the end."""

    injected: int
    records: int
    complete: int
    lost: int
    """Trials of the budget that are missing or not final."""
    duplicated: int
    """Slots with more than one trial, and trials that more than one attempt finished."""
    redone: float
    """Upper bound of recorded epochs that were trained again, a kill."""
    recovery_p50_s: float | None
    """From a kill to the next attempt at its trial; None without a kill."""
    recovery_p95_s: float | None
    again: int
    """Killed trials that were trained once more, undisturbed."""
    same: int
    """Those of them with the same numbers to the bit."""
    minutes: float


def main() -> None:
    """Search, kill, and print a row or JSON; the exit code is the doctor's."""
    options = _arguments()
    if options.home.exists() and any(options.home.iterdir()):
        raise SystemExit(f"{options.home} is not empty: name a new folder")
    _prepare(options.home)
    with _database(options.url, private=options.postgres):
        began = time.monotonic()
        kills, code = storm(options.home, options)
        minutes = (time.monotonic() - began) / 60.0
        store = open_store(store_url())
        study = find_study(store, STUDY)
        found = examine([STUDY])
        often = [name for name, _ in Counter(each.run for each in kills).most_common()]
        verdicts = once_more(often[: options.again])
        row = row_of(store, study, kills, verdicts, minutes)
        store.close()
    _print(row, found, code, as_json=options.json)
    raise SystemExit(
        found.exit_code or (4 if row.lost or row.duplicated or row.same < row.again else 0)
    )


def storm(home: Path, options: argparse.Namespace) -> tuple[list[Kill], int]:
    """Search and kill workers; the kills, and the exit code of the search."""
    command = ["hpo", "--space", STUDY, "--trials", str(options.trials), "--device", "cpu"]
    command += ["--workers", str(options.workers), "--unchecked"]
    kills, dice = list[Kill](), random.Random(options.seed)  # noqa: S311 - not for secrets
    with (
        (home / "hpo.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-m", "risexp", *command], stdout=log, stderr=log
        ) as process,
    ):
        store = open_store(store_url())
        while len(kills) < options.kills and process.poll() is None:
            time.sleep(options.every)
            kills += _kill(store, process.pid, dice)
        store.close()
        return kills, process.wait()


def once_more(runs: Sequence[str]) -> list[bool]:
    """Whether each run, trained again undisturbed, has the same numbers to the bit."""
    quiet = Console(quiet=True)
    return [reproduce(recalled(run, None), quiet, OFF).same for run in runs]


def row_of(
    store: StudyStore,
    study: StudyRef,
    kills: Sequence[Kill],
    verdicts: Sequence[bool],
    minutes: float,
) -> Row:
    """The row of results from the database and the journals."""
    record = study_snapshot(store, study)
    attempts = Leases(store, study.uid).attempts()
    states = Counter(each.state for each in record.trials)
    slots = Counter(each.slot for each in record.trials if each.slot is not None)
    finishers = Counter(each.lease.trial_id for each in attempts if each.ended == "finished")
    times = sorted(_recoveries(attempts, kills))
    redone = sum(_redone(run_id(study.name, each.number)) for each in record.trials)
    final = {each.slot for each in record.trials if each.state in FINAL}
    return Row(
        injected=len(kills),
        records=len(record.trials),
        complete=states["complete"],
        lost=len(set(range(record.wanted)) - final),
        duplicated=sum(each > 1 for each in (*slots.values(), *finishers.values())),
        redone=redone / max(len(kills), 1),
        recovery_p50_s=_quantile(times, 0.5),
        recovery_p95_s=_quantile(times, 0.95),
        again=len(verdicts),
        same=sum(verdicts),
        minutes=minutes,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a new folder")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", help="of the database of studies; the home's own if not given")
    where.add_argument("--postgres", action="store_true", help="a private server for this run")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--every", type=float, default=1.6, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=int, default=6, help="killed trials to train once more")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _prepare(home: Path) -> None:
    spaces = home / "search_spaces"
    spaces.mkdir(parents=True)
    (spaces / f"{STUDY}.yaml").write_text(json.dumps(SPACE), encoding="utf-8")
    os.environ["RISEXP_HOME"] = str(home.absolute())
    os.environ.pop("RISEXP_TRACKING_URI", None)
    os.environ.pop(STORE, None)


@contextmanager
def _database(url: str | None, *, private: bool) -> Iterator[None]:
    with _server() if private else nullcontext(url) as address:
        if address is not None:
            os.environ[STORE] = address
        yield


@contextmanager
def _server() -> Iterator[str]:
    # The tests have a private server.
    sys.path.append(str(Path(__file__).parents[1]))
    from tests.support.postgres import postgres

    with postgres() as server:
        yield server.create(STUDY)


def _kill(store: StudyStore, search: int, dice: random.Random) -> list[Kill]:
    """Kill a worker of this search that has begun a trial, if there is one."""
    try:
        leases = Leases(store, find_study(store, STUDY).uid)
    except InvalidInput:
        return []  # the study does not exist yet
    living = [
        each
        for each in leases.look().living
        if each.parameters is not None
        and _parent(each.pid) == search
        and not is_poison(leases.attempts(each.lease.trial_id), MOST_DEATHS - 1)
    ]
    if not living:
        return []
    victim = dice.choice(living)
    try:
        os.kill(victim.pid, signal.SIGKILL)
    except ProcessLookupError:
        return []  # the process has just ended
    return [Kill(time.time(), victim.lease.trial_id, victim.lease.attempt, victim.run_id)]


def _parent(pid: int) -> int:
    """Parent of a process; 0 if the process has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _recoveries(attempts: Sequence[Attempt], kills: Sequence[Kill]) -> Iterator[float]:
    """Seconds from each kill to the next attempt, if there is one."""
    began = {(each.lease.trial_id, each.lease.attempt): each.began_at for each in attempts}
    for kill in kills:
        again = began.get((kill.trial_id, kill.attempt + 1))
        if again is not None:
            yield again - kill.at


def _redone(run: str) -> int:
    """Recorded epochs of a run that a later attempt trained again."""
    if not is_run(run) or not find_run(run).journal.exists():
        return 0
    last = redone = 0
    for line in read_journal(find_run(run).journal).lines:
        if not isinstance(line, Note):
            last = max(last, line.step)
        elif line.event == STARTED:
            redone += max(last - line.step, 0)
    return redone


def _quantile(times: Sequence[float], share: float) -> float | None:
    """The smallest time that a share of all is not longer than."""
    return times[max(math.ceil(len(times) * share), 1) - 1] if times else None


def _print(row: Row, found: Diagnosis, code: int, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(row), "exit_code": code, "doctor": found.as_json()}))
        return
    cells = {name: _cell(value) for name, value in asdict(row).items()}
    widths = {name: max(len(name), len(cell)) for name, cell in cells.items()}
    print("  ".join(name.rjust(width) for name, width in widths.items()))
    print("  ".join(cells[name].rjust(width) for name, width in widths.items()))
    print(f"the search left with {code}; the doctor with {found.exit_code}:")
    for each in found.checks:
        if each.area == "studies" or each.verdict != "ok":
            print(f"  {each.verdict:<4}  {each.what}: {each.sentence}")


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.2f}"


if __name__ == "__main__":
    main()
