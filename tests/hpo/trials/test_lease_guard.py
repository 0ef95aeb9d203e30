from collections.abc import Callable

from risexp.callbacks.run_loop import Callback, run_loop
from risexp.hpo.store.leases import Fenced
from risexp.hpo.trials.lease_guard import LeaseGuard
from risexp.runs.outcome import Outcome
from risexp.training.events import BatchEnded, EpochEnded, Event, RunEnded
from tests.support.recorded_runs import Told, joint


class Held:
    """A keeper whose lease is lost at a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.lost = False
        self.checks = 0
        self._where = (epoch, batch)

    def pass_by(self, event: Event) -> None:
        match event:
            case BatchEnded(epoch=epoch, batch=batch) if (epoch, batch) == self._where:
                self.lost = True

    def check(self) -> None:
        self.checks += 1
        if self.lost:
            message = "attempt 1 has lost its lease"
            raise Fenced(message)


class Writer:
    """Notes what it would have written."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def fenced_run(held: Held, trainer: Told) -> tuple[Writer, list[Outcome], Outcome]:
    fence, writer, recorded = LeaseGuard(held), Writer(), list[Outcome]()  # type: ignore[arg-type]
    observers: list[Callback] = [held.pass_by, fence, fence.write_guard(writer)]
    record: Callable[[Outcome], None] = fence.write_guard(recorded.append)
    return writer, recorded, run_loop(trainer, observers, "toy-000", record)


def test_a_trial_that_is_lost_stops_at_the_batch_and_writes_nothing_more() -> None:
    writer, recorded, outcome = fenced_run(Held(2, 1), joint(3))

    assert BatchEnded(2, 0, 4) == writer.events[-1]
    assert [1] == [each.plan.epoch for each in writer.events if isinstance(each, EpochEnded)]
    assert [] == recorded
    assert ("released", "fenced", 75) == (outcome.status, outcome.reason, outcome.exit_code)
    assert "attempt 1 has lost its lease" == outcome.sentence


def test_a_trial_that_is_kept_is_trained_and_recorded() -> None:
    held = Held(9, 9)

    writer, recorded, outcome = fenced_run(held, joint(3))

    assert [outcome] == recorded
    assert "finished" == outcome.reason
    assert isinstance(writer.events[-1], RunEnded)
    assert len(writer.events) - 1 < held.checks


class Stopped(Held):
    """A keeper that has slept through its lease after the last event, and does not know it yet."""

    def __init__(self) -> None:
        super().__init__(9, 9)
        self._over = False

    def pass_by(self, event: Event) -> None:
        self._over = isinstance(event, RunEnded)

    def check(self) -> None:
        self.lost = self._over
        super().check()


def test_a_trial_that_is_lost_after_its_last_event_has_no_end_written() -> None:
    writer, recorded, _ = fenced_run(Stopped(), joint(2))

    assert [] == recorded
    assert not [each for each in writer.events if isinstance(each, RunEnded)]
