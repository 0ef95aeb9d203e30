from risexp.callbacks.eta import Eta
from risexp.training.events import BatchEnded, EpochStarted, RunStarted
from tests.support.recorded_runs import ended_of, plan_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def begun(done: int = 0) -> tuple[Eta, Clock]:
    clock = Clock()
    pace = Eta(clock)
    pace(RunStarted("run-1", epochs=10, done=done, batches=4))
    pace(EpochStarted(plan_of(done + 1)))
    return pace, clock


def test_before_the_first_batch_nothing_can_be_said() -> None:
    pace, _ = begun()

    assert pace.left_s() is None


def test_the_first_batches_tell_how_long_the_run_takes() -> None:
    pace, clock = begun()
    clock.now += 5.0

    pace(BatchEnded(1, 0, 4))

    assert 10 * 20.0 - 5.0 == pace.left_s()


def test_whole_epochs_tell_it_better() -> None:
    pace, clock = begun(done=5)
    clock.now += 30.0
    pace(ended_of(plan_of(6)))
    between = pace.left_s()
    pace(EpochStarted(plan_of(7)))
    clock.now += 10.0

    assert 4 * 30.0 == between
    assert 4 * 30.0 - 10.0 == pace.left_s()


def test_an_epoch_that_takes_longer_does_not_make_it_negative() -> None:
    pace, clock = begun(done=8)
    clock.now += 1.0
    pace(ended_of(plan_of(9)))
    pace(EpochStarted(plan_of(10)))

    clock.now += 60.0

    assert 0.0 == pace.left_s()
