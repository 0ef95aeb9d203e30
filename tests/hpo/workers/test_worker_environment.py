"""A worker whose home or device fails: no trial is at fault, and none is kept from its turn."""

import socket

import pytest
import torch

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import waiting_hosts
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.queue import Queue
from risexp.hpo.workers import worker as module
from risexp.hpo.workers.worker import Job, JobResult
from tests.support.toy_workers import (
    DONE,
    attempts,
    searched,
    toy,
    work,
    worker,
)
from tests.support.worker_processes import EMBEDDED, claimed, queue_of, states

pytestmark = EMBEDDED


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 3)


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "error",
    [
        EnvironmentFailed("cannot write: no space"),
        OSError(28, "no space"),
        OSError(30, "read-only"),
        MemoryError(),
    ],
)
def test_a_trial_is_not_at_fault_if_the_environment_fails(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    study = searched(store, 2)

    code, _ = work(store, study, toy(*[error] * 5))

    assert 0 == code
    assert ["complete", "complete"] == states(store, study)
    ends = sorted(str(each.ended) for each in attempts(store, study))
    assert ["environment"] * 5 + ["finished"] * 2 == ends


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("error", "state", "ended"),
    [
        (torch.AcceleratorError("uncorrectable ECC error"), "waiting", "environment"),
        (torch.AcceleratorError("CUDA error: device-side assert"), "failed", "finished"),
    ],
)
def test_a_worker_whose_device_has_failed_leaves_its_trials_to_a_new_process(
    store: StudyStore,
    study: StudyRef,
    error: Exception,
    state: str,
    ended: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No later call to a device succeeds in a process that has met such an error."""
    train = toy(error)
    one = worker(store, study, train)
    waited, noted = list[float](), list[str]()

    def pause(seconds: float) -> None:
        waited.append(seconds)
        noted.extend(waiting_hosts(store, study))

    monkeypatch.setattr(one._signals, "wait", pause)
    code = one.run(lambda _: None)

    assert (1, 1) == (code, len(train.jobs))
    given_back = ended == "environment"
    assert [60.0] * given_back == waited
    assert [socket.gethostname()] * given_back == noted
    assert [state, "waiting", "waiting"] == states(store, study)
    assert [ended] == [each.ended for each in attempts(store, study)]


def test_a_trial_whose_environment_always_fails_keeps_no_other_from_its_turn(
    store: StudyStore, study: StudyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.0)

    def train(job: Job) -> JobResult:
        if job.number == 0:
            raise OSError(5, "Input/output error")
        return JobResult(DONE, 1.5)

    with pytest.raises(EnvironmentFailed, match="1 trials wait, and each has failed 5 times here"):
        work(store, study, train)

    assert ["waiting", "complete", "complete"] == states(store, study)
    first = [each.lease.trial_id for each in attempts(store, study) if each.ended == "environment"]
    assert (5, 1) == (len(first), len({*first}))


@pytest.mark.fault("F12")
def test_a_worker_whose_home_cannot_be_written_claims_nothing_and_tells_the_study(
    store: StudyStore, study: StudyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    seen: list[tuple[int, dict[str, str]]] = []
    full = "cannot write into runs: No space left on device"
    answers = iter([full, full, None])

    def home_fault() -> str | None:
        seen.append((len(attempts(store, study)), waiting_hosts(store, study)))
        return next(answers, None)

    said: list[str] = []
    worker(store, study, toy(), home_fault).run(said.append)

    here = {socket.gethostname(): full}
    assert [(0, {}), (0, here), (0, here)] == seen[:3]
    assert {} == waiting_hosts(store, study)
    assert [f"it claims no trial: {full}", "it claims trials again"] == said[:2]
    assert ["complete"] * 3 == states(store, study)


@pytest.mark.fault("F12")
def test_a_worker_that_finds_nothing_left_after_a_fault_waits_for_nothing(
    store: StudyStore, study: StudyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker of its host does all trials in its pause."""
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    one, other = (
        worker(store, study, toy(*errors))
        for errors in ([OSError(28, "No space left on device")], [])
    )
    noted = list[dict[str, str]]()

    def pause(_: float) -> None:
        noted.append(waiting_hosts(store, study))
        other.run(lambda _: None)

    monkeypatch.setattr(one._signals, "wait", pause)
    assert 0 == one.run(lambda _: None)

    assert [[socket.gethostname()]] == [[*each] for each in noted]
    assert ["complete"] * 3 == states(store, study)
    assert {} == waiting_hosts(store, study)


def test_an_idle_worker_does_not_write_into_its_home(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All trials run elsewhere; it looks into its home only once one of them waits again."""
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    study, idle, looks = searched(store, 1), list[bool](), list[str]()
    queue = queue_of(store, study)
    claim = claimed(queue)
    has_waiting = Queue.has_waiting

    def counted(queue: Queue) -> bool:
        idle.append(not has_waiting(queue))
        if len(idle) == 5:
            claim.release()
        return not idle[-1]

    def home_fault() -> str | None:
        looks.append(states(store, study)[0])
        return None

    monkeypatch.setattr(Queue, "has_waiting", counted)
    worker(store, study, toy(), home_fault).run(lambda _: None)

    assert [True] * 5 == idle[:5]
    assert ["waiting"] == looks
    assert ["complete"] == states(store, study)
