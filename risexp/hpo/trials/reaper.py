"""Finds trials whose worker is gone and requeues them; finds local workers that are stuck.

A trial is poison if it kills healthy workers: not if machines, disks or preemptions do.
"""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from risexp.core.failpoint import failpoint
from risexp.core.home import home
from risexp.hpo.store.leases import (
    DEADLY,
    HANGING,
    RENEW_S,
    TTL_S,
    USED_UP,
    Attempt,
    End,
    Lease,
    LeaseOwner,
    Leases,
    LeaseSnapshot,
)
from risexp.hpo.store.patient_storage import Listed
from risexp.hpo.studies.study import REASON, StudyRef, run_id
from risexp.hpo.trials.failed_trials import forgiven
from risexp.hpo.trials.heartbeat import uptime

MOST_DEATHS: Final = 3
"""Number of deaths on hosts that lived on after which a trial fails; also the number of hosts."""
NO_OWNER: Final = LeaseOwner("nobody", "", 0, "")
"""Owner of the lease that a reaper gives to a running trial without one."""
_STOPPED: Final = ("T", "t")
_NOTE_S: Final = 30 * 86_400.0
"""Age of a note of an exit that no study has asked for."""


def requeue(leases: Leases, trial_id: int, most: int = MOST_DEATHS) -> None:
    """Let a trial without a living attempt wait again, or fail it; may be repeated.

    Number, parameters and reports stay.
    """
    storage = leases.store.storage
    try:
        attempts = leases.attempts(trial_id)[forgiven(storage.get_trial(trial_id)) :]
        if is_poison(attempts, most):
            storage.set_trial_user_attr(trial_id, REASON, _failure_reason(attempts))
            failpoint("reap.noted")
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
            return
        storage.set_trial_state_values(trial_id, TrialState.WAITING)
    except UpdateFinishedTrialError:
        return
    failpoint("reap.returned")


def is_poison(attempts: Sequence[Attempt], most: int = MOST_DEATHS) -> bool:
    """Whether a trial kills workers: on hosts that lived on, or whichever host tries it."""
    deaths = sum(attempt.ended in DEADLY for attempt in attempts)
    hosts = {each.host for each in attempts if each.ended in (*DEADLY, "lost")} - {NO_OWNER.host}
    return deaths >= most or len(hosts) >= most


def note_exit(owner: str) -> None:
    """Note in this home that a worker left of its own, though its store did not answer."""
    with suppress(OSError):
        _exit_notes().mkdir(mode=0o700, parents=True, exist_ok=True)
        (_exit_notes() / owner).touch(mode=0o600)
        for note in _exit_notes().iterdir():
            if time.time() - note.stat().st_mtime > _NOTE_S:
                note.unlink(missing_ok=True)


def has_left(owner: str) -> bool:
    """Whether a worker of this home has left such a note."""
    return (_exit_notes() / owner).exists()


def forget_exit(owner: str) -> None:
    """Delete such a note, since the study knows how the worker's attempt ended."""
    with suppress(OSError):
        (_exit_notes() / owner).unlink(missing_ok=True)


def _exit_notes() -> Path:
    return home().absolute() / "mlruns" / "left"


def _failure_reason(attempts: Sequence[Attempt]) -> str:
    """Why a trial has no attempts left: all of them hung, or they died in different ways."""
    ends = {attempt.ended for attempt in attempts if attempt.ended in (*DEADLY, "lost")}
    return HANGING if ends == {HANGING} else USED_UP


def _how_it_ended(attempt: Attempt, now: float) -> End:
    """How an attempt ended whose lease has expired: its host may have gone with it."""
    here = attempt.host == socket.gethostname() and now - uptime() <= attempt.began_at
    if not here or is_stopped(attempt.pid) or has_left(attempt.lease.owner):
        return "lost"
    return "hung" if is_running(attempt.pid) else "died"


class Reaper:
    """Requeues trials whose lease has expired; any number of reapers may run at once.

    An expired lease may belong to an owner that could not renew it because the database was away.
    So a lease is taken only after it has been watched for a while without a gap.
    """

    def __init__(
        self,
        leases: Leases,
        study: StudyRef,
        patience_s: float = RENEW_S,
        most_deaths: int = MOST_DEATHS,
    ) -> None:
        self._storage = leases.store.storage
        self._study = study
        self._leases = leases
        self._patience_s = patience_s
        self._most = most_deaths
        self._since: dict[Lease, float] = {}
        self._looked_at: float | None = None

    def look(self) -> int:
        """Requeue trials without a worker; to be called every few seconds.

        Returns:
            The number of trials that were requeued.
        """
        look = self._leases.look()
        living = {attempt.lease.trial_id for attempt in look.living}
        running = self._storage.list_trials(self._study.id, (TrialState.RUNNING,))
        reaped = [
            self._end(attempt, self._leases.bury, _how_it_ended(attempt, look.now))
            for attempt in self._over(look)
        ]
        reaped += [
            self._adopt(trial, look.now) for trial in running if trial.trial_id not in living
        ]
        return sum(reaped)

    def abandon(self, owner: str, how: End = "died") -> None:
        """Requeue at once the trials of a worker; only for a caller that saw its process end."""
        for attempt in self._leases.look().living:
            if attempt.lease.owner == owner:
                self._end(attempt, self._leases.end, how)

    def _over(self, look: LeaseSnapshot) -> list[Attempt]:
        """Attempts whose lease has expired, and whose owner has had time to renew it."""
        gap_s = look.now - (look.now if self._looked_at is None else self._looked_at)
        before = self._since if 0.0 <= gap_s <= self._leases.ttl_s / 2.0 else {}
        self._looked_at = look.now
        self._since = {each.lease: before.get(each.lease, look.now) for each in look.living}
        return [
            each
            for each in look.living
            if each.expires_at <= look.now
            and look.now - self._since[each.lease] >= self._patience_s
        ]

    def _end(self, attempt: Attempt, end: Callable[[Lease, End], bool], how: End) -> bool:
        """End an attempt and requeue its trial; false if another process does it."""
        if self._storage.get_trial(attempt.lease.trial_id).state.is_finished():
            # The worker died after it finished the trial and before it ended its attempt.
            end(attempt.lease, "finished")
            forget_exit(attempt.lease.owner)
            return False
        if not end(attempt.lease, how):
            return False
        forget_exit(attempt.lease.owner)
        failpoint("reap.buried")
        requeue(self._leases, attempt.lease.trial_id, self._most)
        return True

    def _adopt(self, running: Listed, now: float) -> bool:
        """Lease a running trial without one, which a dead process or another tool has left.

        Once that lease is over, the trial is requeued.
        """
        attempts = self._leases.attempts(running.trial_id)
        if not attempts:
            run = run_id(self._study.name, running.number)
            self._leases.take(running.trial_id, NO_OWNER, run, 2.0 * self._leases.ttl_s)
            failpoint("reap.adopted")
            return False
        ended_at = attempts[-1].ended_at
        if ended_at is None or now - ended_at < self._leases.ttl_s:
            return False
        requeue(self._leases, running.trial_id, self._most)
        return True


class StuckWorkers:
    """Finds local workers whose lease has expired and that do not end.

    A worker that is stopped amid a write keeps an embedded database locked, so no lease is renewed
    and no reaper can act; reading still works. A worker that is not stopped may only wait for the
    database, so it has `patience_s` more.
    """

    def __init__(
        self,
        leases: Leases,
        patience_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._patience_s = patience_s
        self._clock = clock
        self._since: dict[str, float] = {}

    def look(self, pids: Mapping[str, int]) -> list[str]:
        """Owners to be killed, out of these owners with their local processes."""
        over, now = self._leases.over(pids), self._clock()
        self._since = {owner: self._since.get(owner, now) for owner in sorted(over)}
        return [
            owner
            for owner, since in self._since.items()
            if is_stopped(pids[owner]) or now - since >= self._patience_s
        ]


def is_running(pid: int) -> bool:
    """Whether this host has a process of this number; false if that is unknown."""
    return Path("/proc", str(pid)).exists()


def is_stopped(pid: int) -> bool:
    """Whether the system has stopped a process; false if that is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    # The process name, in brackets before the state, may contain anything.
    return stat.rpartition(")")[2].split()[0] in _STOPPED
