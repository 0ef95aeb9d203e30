import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from rich.console import Console

from risexp.callbacks.console import LineView, LiveView, view
from risexp.callbacks.epoch_table import Eta
from risexp.training.events import EpochEnded, Event, RunEnded
from tests.support.recorded_runs import (
    DEAD,
    SCORES,
    Told,
    plan_of,
    plans_of,
    started_of,
    telling,
)

WEIGHTS = {"cov": 0.1, "cov_pred": 0.05, "count": 1.0, "pointers": 1.0, "existence": 0.2}
TERMS = tuple(WEIGHTS)
PLANS = tuple(plan_of(epoch, beta=0.1 * (epoch - 1), weights=WEIGHTS) for epoch in (1, 2, 3))
LIVES = (DEAD, {**DEAD, "k_loc": 7.1, "k_acc": 0.231, "count_entropy": 1.3}, SCORES)
OF_AN_EPOCH = 6


def events(epochs: int, batches: int = 0) -> list[Event]:
    """What is told up to the end of so many epochs, and so many batches of the next."""
    trainer = Told(PLANS, telling(*LIVES))
    told = [started_of(trainer, "train-20261120-101500-a1b2c3"), *trainer.run()]
    return told[: 1 + OF_AN_EPOCH * epochs + (1 + batches if batches else 0)]


def ticking(seconds: float) -> Callable[[], float]:
    """A clock on which as much time passes between two looks."""
    now = iter(range(1_000_000))
    return lambda: seconds * next(now)


def lines(told: Sequence[Event]) -> list[str]:
    """What stands in a log after some events."""
    stream = io.StringIO()
    log = LineView(stream, TERMS, 5, Eta(ticking(1.0)))
    for event in told:
        log(event)
    return stream.getvalue().splitlines()


def test_the_live_view_fits_its_terminal_and_shows_where_a_run_is() -> None:
    for width, told in product((80, 120), (events(0), events(0, 3), events(2, 1), events(3))):
        assert width >= max(map(len, picture(width, told).splitlines()))

    shown = picture(80, events(1, 3)).splitlines()
    assert "train-20261120-101500-a1b2c3  phase joint  beta 0.10" == shown[0].rstrip()
    assert shown[1].startswith("epoch 2/3")
    assert "batch 3/4  32 scenes/s" in shown[1]
    assert shown[1].rstrip().endswith("left")
    assert "validating" in picture(80, events(1, 4))


def test_the_live_view_compares_a_run_with_references_and_shows_chance_in_red() -> None:
    rows = [line.split() for line in picture(80, events(3)).splitlines()]

    assert ["chance", "0.200"] in rows
    assert ["majority", "0.213"] in rows
    assert ["NOMP", "0.676", "0.421"] in rows
    assert ["reference", "0.668", "0.503"] in rows
    assert ["3", "0.20", "2.556", "0.612", "0.333", "3.412", "best"] in rows
    assert "at chance, one answer, best" in picture(80, events(1))
    assert "\x1b[31m" in picture(80, events(1), force_terminal=True, color_system="standard")


def picture(width: int, told: Sequence[Event], **style: Any) -> str:  # noqa: ANN401 - rich's
    """The live view after some events, as text."""
    hidden = Console(file=io.StringIO(), force_terminal=True, width=width)
    live = LiveView(hidden, TERMS, 5, Eta(ticking(1.0)))
    for event in told:
        live(event)
    stream = io.StringIO()
    Console(file=stream, width=width, **style).print(live.render())
    live(RunEnded("finished"))
    return stream.getvalue()


def test_a_wider_terminal_shows_more_terms_as_columns() -> None:
    narrow, wide = picture(80, events(1)), picture(120, events(1))

    assert "also in the loss of epoch 1: cov 0.8125, cov_pred 0.5000" in narrow
    assert ["cov", "cov_pred", "count", "pointers"] == [
        name for name in wide.splitlines()[3].split() if name in TERMS
    ]
    assert "also in the loss of epoch 1: existence 1.000" in wide


def test_a_log_has_one_line_per_epoch_below_the_references_in_columns() -> None:
    log = lines([*events(3), RunEnded("finished")])

    heads = [line.split()[0] for line in log]
    expected = ["train-20261120-101500-a1b2c3:", "phase", "epoch", "chance", "majority", "NOMP"]
    assert [*expected, "reference", "1", "2", "3", "ended:"] == heads
    _, _, heading, *rows, _ = log
    right = heading.index("k_acc") + len("k_acc")
    ends = [line[: right + 1].rstrip() for line in rows]
    assert [right] * len(rows) == [len(end) for end in ends]
    assert ["0.200", "0.213", "0.676", "0.668", "0.213", "0.231", "0.612"] == [
        end[-5:] for end in ends
    ]


def few(told: Sequence[Event], scenes: float = 48.0) -> list[Event]:
    """The same events where so many scenes were scored."""
    return [
        replace(event, scores={**event.scores, "scenes": scenes})
        if isinstance(event, EpochEnded)
        else event
        for event in told
    ]


def test_too_few_scenes_are_told_once() -> None:
    log, shown = lines(few(events(3))), " ".join(picture(80, few(events(3))).split())

    assert 1 == sum(line.startswith("48 validation scenes are too few") for line in log)
    assert 1 == shown.count("48 validation scenes are too few")
    assert not any("at chance" in line.split("  ") for line in log)
    assert not any("too few" in line for line in lines(events(3)))
    assert "too few" not in picture(80, events(3))


def test_a_log_shows_the_weights_of_each_phase() -> None:
    trainer = Told(plans_of("geometry", "geometry", "joint"))

    log = lines([started_of(trainer), *trainer.run()])

    assert ["phase geometry: 0.1 cov, 0.05 cov_pred, 1 count"] == [
        line for line in log if line.startswith("phase g")
    ]
    assert 1 == sum(line.startswith("phase joint") for line in log)


def test_a_closed_pipe_ends_no_run() -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    log = LineView(Gone(), TERMS, 5)

    for event in (*events(3), RunEnded("finished")):
        log(event)


def test_the_view_suits_the_console_ends_with_the_run_and_a_quiet_one_shows_nothing() -> None:
    pipe = Console(file=io.StringIO(), force_terminal=False)
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    stream = io.StringIO()
    quiet, live = view(Console(file=stream, quiet=True), PLANS, 5), view(screen, PLANS, 5)

    for event in (*events(3), RunEnded("early-stop")):
        quiet(event)
        live(event)

    assert isinstance(view(pipe, PLANS, 5), LineView)
    assert isinstance(live, LiveView)
    assert "ended: early-stop" in screen.file.getvalue()  # type: ignore[attr-defined]
    assert "" == stream.getvalue()
