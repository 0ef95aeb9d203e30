import threading

import pytest

from risexp.errors import EnvironmentFailed
from risexp.hpo.trials.periodic_thread import PeriodicThread
from tests.support.worker_processes import until


class Action:
    """Fails as it is told, one tick after the other."""

    def __init__(self, *errors: Exception | None) -> None:
        self.ticks = 0
        self.threads: set[str] = set()
        self._errors = errors

    def __call__(self) -> None:
        self.ticks += 1
        self.threads.add(threading.current_thread().name)
        error = self._errors[min(self.ticks, len(self._errors)) - 1]
        if error is not None:
            raise error


def test_it_ticks_beside_the_main_thread_until_it_is_left() -> None:
    action = Action(None)

    with PeriodicThread("beside", 0.001, action):
        until(lambda: action.ticks >= 3)

    ticks = action.ticks
    assert {"beside"} == action.threads
    assert "beside" not in {thread.name for thread in threading.enumerate()}
    assert ticks == action.ticks


def test_it_waits_its_period_before_the_first_tick() -> None:
    action = Action(None)

    with PeriodicThread("beside", 60.0, action):
        pass

    assert 0 == action.ticks


def test_a_machine_that_fails_does_not_end_it() -> None:
    action = Action(EnvironmentFailed("away"), EnvironmentFailed("away"), None)

    with PeriodicThread("beside", 60.0, action) as never:
        pass
    with PeriodicThread("beside", 0.001, action) as ticker:
        until(lambda: action.ticks >= 4)

    assert (None, None) == (ticker.error, never.error)


def test_after_a_failure_it_ticks_sooner() -> None:
    action = Action(None, EnvironmentFailed("away"))
    waits: list[float] = []
    ticker = PeriodicThread("beside", 60.0, action, again_s=1.0)

    class Left:
        """Says when it would tick, and lets it."""

        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) > 3

    ticker._left = Left()  # type: ignore[assignment]
    ticker._work()

    assert [60.0, 60.0, 1.0, 1.0] == waits


def test_an_error_that_nobody_expects_ends_it_and_is_kept() -> None:
    action = Action(None, ZeroDivisionError("a fault"), None)

    with PeriodicThread("beside", 0.001, action) as ticker:
        until(lambda: ticker.error is not None)

    assert isinstance(ticker.error, ZeroDivisionError)
    assert 2 == action.ticks


@pytest.mark.parametrize("period_s", [0.5, 60.0])
def test_it_never_ticks_later_for_having_failed(period_s: float) -> None:
    assert PeriodicThread("beside", period_s, Action(None))._again_s <= period_s
