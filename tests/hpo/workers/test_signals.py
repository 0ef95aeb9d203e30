"""F14: a signal at any moment of a worker is a release, and never a death."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from optuna.study import Study

from risexp.callbacks.signals import SignalCallback
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.patient_storage import PatientStorage
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.queue import Queue
from risexp.hpo.workers import worker as worker_module
from risexp.hpo.workers.worker import Worker
from risexp.space.study_spec import StudySpec
from tests.support import toy_workers
from tests.support.looping import for_each
from tests.support.searches import tiny
from tests.support.toy_workers import attempts, report_epochs, searched, work
from tests.support.worker_processes import owner, states, violations

POINTS: Final[dict[str, tuple[Any, str]]] = {
    "look for the end": (worker_module, "end_of"),
    "look for trials": (Queue, "is_done"),
    "list": (PatientStorage, "list_trials"),
    "take the lease": (Leases, "take"),
    "set running": (PatientStorage, "set_trial_state_values"),
    "renew": (Leases, "renew"),
    "claim": (Queue, "claim"),
    "suggest": (Claim, "suggest"),
    "record parameters": (Leases, "record"),
    "train": (toy_workers, "JobResult"),
    "report": (Claim, "report"),
    "note": (Claim, "note"),
    "assure": (Leases, "assure"),
    "finish": (Claim, "finish"),
    "tell": (Study, "tell"),
    "end the lease": (Leases, "end"),
}
"""Calls of a worker, before and after which signals come."""
SIGNALS: Final[dict[str, tuple[tuple[int, ...], int]]] = {
    "TERM": ((signal.SIGTERM,), 75),
    "INT": ((signal.SIGINT,), 130),
    "USR1": ((signal.SIGUSR1,), 75),
    "USR2": ((signal.SIGUSR2,), 75),
    "HUP": ((signal.SIGHUP,), 75),
    "TERM twice": ((signal.SIGTERM, signal.SIGTERM), 130),
}
"""Signals, and the exit code of the worker."""
BY_DAY: Final = ("TERM", "TERM twice")
"""On both databases; no database sees which of the others it was."""
SPEC: Final = StudySpec.of(tiny())


@dataclass
class Sender:
    """Sends this process its signals once, before or after a call."""

    numbers: tuple[int, ...]
    when: Literal["before", "after"]
    sent: bool = field(default=False, init=False)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def sending(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever is called
            if self.when == "before":
                self._send()
            result = call(*arguments, **named)
            if self.when == "after":
                self._send()
            return result

        return sending

    def _send(self) -> None:
        if not self.sent:
            self.sent = True
            for number in self.numbers:
                os.kill(os.getpid(), number)


def left_after(
    store: StudyStore, study: StudyRef, point: str, sender: Sender, patch: pytest.MonkeyPatch
) -> tuple[int | None, list[str | None]]:
    """The exit code of a worker that receives signals at a point, and how its attempts ended."""
    owner_of_call, name = POINTS[point]
    with patch.context() as patched, SignalCallback(lambda _: None) as signals:
        worker = Worker(store, study, owner(), report_epochs, signals)
        patched.setattr(owner_of_call, name, sender.around(getattr(owner_of_call, name)))
        code = worker.run(lambda _: None)
    return code, [each.ended for each in attempts(store, study)]


@pytest.mark.fault("F14")
@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        *(pytest.param("sqlite", kind) for kind in BY_DAY),
        *(
            pytest.param("sqlite", kind, marks=pytest.mark.slow)
            for kind in SIGNALS
            if kind not in BY_DAY
        ),
        *(pytest.param("postgresql", kind, marks=pytest.mark.slow) for kind in BY_DAY),
    ],
    indirect=["backend"],
)
@for_each("when", ["before", "after"])
@for_each("point", POINTS)
def test_a_signal_at_any_moment_is_a_release(
    store: StudyStore,
    monkeypatch: pytest.MonkeyPatch,
    own_home: Path,
    kind: str,
    when: Literal["before", "after"],
    point: str,
) -> None:
    numbers, expected = SIGNALS[kind]
    study = searched(store, 1, SPEC, name=f"{point}-{when}".replace(" ", "-"))
    sender = Sender(numbers, when)

    code, ends = left_after(store, study, point, sender, monkeypatch)

    assert sender.sent
    assert expected == code
    assert set() == {*ends} - {"released", "finished"}
    assert [] == [*own_home.glob("mlruns/left/*")]  # the study knows how it ended
    assert set() == {*states(store, study)} - {"waiting", "complete"}
    work(store, study, report_epochs)
    assert ["complete"] == states(store, study)
    assert [] == violations(store, study)
