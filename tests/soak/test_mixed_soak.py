"""A search under faults of all classes at once, for as long as RISEXP_SOAK_MINUTES says."""

import json
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.soak.account import Account, effort_of, ends_of, recoveries, span_s
from tests.soak.databases import Database
from tests.soak.faults import Faults
from tests.soak.gauges import Gauges
from tests.soak.search import Search
from tests.soak.stage import STUDY, Stage
from tests.support.oracle import judge

MINUTES: Final = float(os.environ.get("RISEXP_SOAK_MINUTES", "30"))
"""Of faults, on each database."""
TRIALS: Final = int(os.environ.get("RISEXP_SOAK_TRIALS", "320"))
"""On each database."""
SEED: Final = int(os.environ.get("RISEXP_SOAK_SEED", "14"))
LOGS: Final = "RISEXP_SOAK_LOGS"
"""Environment variable: where to keep logs, figures and the home."""
_PAUSE_S: Final = 5.0
"""Mean time between two faults."""
_TAIL_S: Final = 60.0 * float(os.environ.get("RISEXP_SOAK_TAIL_MINUTES", "30"))
"""For what is left after the last fault; then the study is stopped, and its trials wait."""
UNDISTURBED: Final = int(os.environ.get("RISEXP_SOAK_UNDISTURBED", "24"))
"""Trials of the search without faults that is compared with; with 0 there is none."""


class Soak:
    """Disturbs a search at random times."""

    def __init__(self, search: Search, faults: Faults, dice: Random, seconds: float) -> None:
        self.gauges = Gauges(search.stage)
        self._faults, self._dice, self._seconds = faults, dice, seconds
        self._log = search.stage.folder / "faults.log"
        self._began = time.monotonic()
        self._next = self._began + self._pause_s

    @property
    def _pause_s(self) -> float:
        return self._dice.expovariate(1.0 / _PAUSE_S)

    def disturb(self) -> None:
        """Break something, if it is time, and end what has lasted."""
        passed = time.monotonic() - self._began
        self._faults.share = passed / self._seconds
        self._faults.end_due()
        self.gauges.sample()
        if time.monotonic() >= self._next:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{passed:7.1f} {self._faults.inject()}\n")
            self._next = time.monotonic() + self._pause_s

    def rest(self) -> None:
        """Break nothing more."""
        self._faults.end_due(at_once=True)
        self.gauges.sample()


def undisturbed_s(folder: Path, home: Path, url: str) -> float:
    """Seconds a trial of the same search without a fault; NaN if none is wanted."""
    if not UNDISTURBED:
        return math.nan
    search = Search.begin(Stage(folder, home, url, UNDISTURBED))
    try:
        assert search.work(lambda: None, _TAIL_S)
        attempts = search.attempts()
        return span_s(attempts) / len(attempts)
    finally:
        search.store.close()
        search.stage.stop()


def soaked(stage: Stage, database: Database, calm_s: float, *, can_fill: bool) -> Account:
    """Disturb a search, let it come to its end, and take account."""
    search, dice = Search.begin(stage), Random(SEED)  # noqa: S311 - not for secrets
    faults = Faults(stage, database, search.leases, dice)
    faults.can_fill = can_fill
    soak, began = Soak(search, faults, dice, 60.0 * MINUTES), time.monotonic()

    over = search.work(soak.disturb, 60.0 * MINUTES)
    soak.rest()
    disturbed_s = time.monotonic() - began
    if not over and not search.work(soak.rest, _TAIL_S):
        assert 0 == stage.command("study", "stop", STUDY).returncode
    total_s = time.monotonic() - began
    trends = soak.gauges.trends()
    faults.not_taken()
    search.end()
    assert 0 == stage.command("sync").returncode
    doctor = json.loads(stage.command("doctor", "--json").stdout)
    attempts, states = search.attempts(), search.states()
    search.store.close()
    return Account(
        minutes=total_s / 60.0,
        disturbed_minutes=disturbed_s / 60.0,
        faults=faults.injected,
        states=Counter(states),
        ends=ends_of(attempts),
        ledger=judge(stage.url),
        effort=effort_of(stage, attempts),
        trial_s=span_s(attempts) / len(states),
        undisturbed_s=calm_s,
        seen_s=recoveries(attempts, faults.kills, seen=True),
        unseen_s=recoveries(attempts, faults.kills, seen=False),
        codes={each.name: each.codes for each in stage.programs},
        trends=trends,
        remarks=[
            f"{each['verdict']}: {each['what']}: {each['sentence']}"
            for each in doctor["checks"]
            if each["verdict"] != "ok"
        ],
    )


@pytest.mark.soak
@pytest.mark.fault("F25")
@pytest.mark.timeout(4 * 3600)
def test_nothing_is_lost_or_done_twice_under_faults_of_all_classes(
    database: Database,
    disk: tuple[Path, bool],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    calm = f"sqlite:///{tmp_path}/calm-studies.db"
    calm_s = undisturbed_s(tmp_path / "calm", tmp_path / "calm-home", calm)
    stage = Stage(tmp_path / "stage", disk[0], database.url, TRIALS)
    try:
        account = soaked(stage, database, calm_s, can_fill=disk[1])
        text = json.dumps(account.as_json(), indent=1)
        (stage.folder / "figures.json").write_text(text, "utf-8")
    finally:
        stage.stop()
        keep_logs(stage)
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - the figures are what it is made for

    what = f"mixed soak of {account.minutes:.0f} minutes, {datetime.now(UTC):%Y-%m-%d}"
    record_property("what", what)
    record_property("injected", sum(account.faults.values()) - 1)
    for seconds in account.seen_s:
        record_property("recovery_s", f"{seconds:.3f}")
    assert (0, 0) == (account.ledger.lost, account.ledger.duplicated)
    assert [] == [each for each in account.remarks if each.startswith("fail")]
    ours = [each for each in account.trends if each.name != "server"]
    assert [] == [each.sentence() for each in ours if not each.is_flat]


def keep_logs(stage: Stage) -> None:
    """Copy the small files of a soak to where the next one does not look."""
    where = os.environ.get("RISEXP_SOAK_LOGS")
    if where is None:
        return
    kept = Path(where) / time.strftime("%H%M%S")
    kept.mkdir(parents=True)
    for path in (*stage.folder.glob("*.log"), *stage.folder.glob("figures.json")):
        shutil.copy(path, kept)
    shutil.copytree(stage.home / "mlruns", kept / "mlruns", dirs_exist_ok=True)
