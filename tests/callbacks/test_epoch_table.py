import math
from dataclasses import replace

from risexp.callbacks.epoch_table import Eta, cells, duration, remarks, short
from risexp.training.events import BatchEnded, EpochStarted, RunStarted
from risexp.training.progress import Best
from tests.support.recorded_runs import ended_of, plan_of, steps_of
from tests.support.worker_processes import Clock


def test_cells_show_what_there_is_and_remarks_what_the_numbers_do_not() -> None:
    steps = replace(steps_of(2), taken=2, refused=(0, 3))
    ended = replace(ended_of(plan_of(2)), steps=steps, best=Best(2, "joint", 3.4))
    found = cells(ended_of(plan_of(1), {"loss": 1.0}))

    assert ["2 refused", "best"] == remarks(ended)
    assert not {"k_acc", "success", "k_loc"} & found.keys()
    assert "" == found["remark"]
    shown = [cells(ended_of(plan_of(1, beta=beta)))["beta"] for beta in (0.0, 0.3)]
    assert ["off", "0.30"] == shown


def test_numbers_have_four_digits_in_seven_characters_and_durations_are_those_of_a_clock() -> None:
    expected = ("0.000", "1.300", "0.03464", "1234", "1.2e+05", "-1.5e-07", "nan")

    shown = tuple(map(short, (0.0, 1.3, 0.0346412, 1234.4, 123456.0, -1.5e-7, math.nan)))

    assert expected == shown
    assert ("0:00", "1:00", "59:59", "2:01:01") == tuple(map(duration, (0.2, 59.6, 3599, 7261)))


def started(done: int = 0) -> tuple[Eta, Clock]:
    clock = Clock()
    eta = Eta(clock)
    eta(RunStarted("run-1", epochs=10, done=done, batches=4))
    eta(EpochStarted(plan_of(done + 1)))
    return eta, clock


def test_the_first_batch_gives_the_first_estimate() -> None:
    eta, clock = started()
    before = eta.left_s()
    clock.now += 5.0

    eta(BatchEnded(1, 0, 4))

    assert before is None
    assert 10 * 20.0 - 5.0 == eta.left_s()


def test_whole_epochs_give_a_better_estimate_which_is_never_negative() -> None:
    eta, clock = started(done=5)
    clock.now += 30.0
    eta(ended_of(plan_of(6)))
    between = eta.left_s()
    eta(EpochStarted(plan_of(7)))
    clock.now += 10.0

    assert 4 * 30.0 == between
    assert 4 * 30.0 - 10.0 == eta.left_s()
    clock.now += 600.0
    assert 0.0 == eta.left_s()
