import threading

import pytest

from risexp.core.threads import PeriodicThread
from risexp.errors import EnvironmentFailed
from tests.support.worker_processes import until


class Action:
    """Raises the next of its errors at every call, the last one for ever."""

    def __init__(self, *errors: Exception | None) -> None:
        self.calls = 0
        self.threads: set[str] = set()
        self._errors = errors

    def __call__(self) -> None:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        error = self._errors[min(self.calls, len(self._errors)) - 1]
        if error is not None:
            raise error


def recorded_waits(thread: PeriodicThread) -> list[float]:
    """The first four waits of a thread's loop, which runs here and does not wait."""
    waits: list[float] = []

    class Left:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) > 3

    thread._left = Left()  # type: ignore[assignment]
    thread._work()
    return waits


def test_the_action_runs_in_its_own_thread_until_the_context_is_left() -> None:
    action = Action(None)

    with PeriodicThread("beside", 0.001, action):
        until(lambda: action.calls >= 3)

    assert {"beside"} == action.threads
    assert "beside" not in {thread.name for thread in threading.enumerate()}


def test_an_unexpected_error_ends_the_thread_and_is_kept() -> None:
    action = Action(None, ZeroDivisionError("a fault"), None)

    with PeriodicThread("beside", 0.001, action) as thread:
        until(lambda: thread.error is not None)

    assert isinstance(thread.error, ZeroDivisionError)
    assert 2 == action.calls


@pytest.mark.parametrize(
    ("period_s", "expected"), [(60.0, [60.0, 60.0, 1.0, 1.0]), (0.5, [0.5] * 4)]
)
def test_after_a_failure_of_the_environment_the_action_is_repeated_sooner(
    period_s: float, expected: list[float]
) -> None:
    thread = PeriodicThread("beside", period_s, Action(None, EnvironmentFailed("away")))

    assert expected == recorded_waits(thread)
    assert thread.error is None
