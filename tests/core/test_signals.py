"""Signals are received while a handler is entered, and by the previous handler afterwards."""

import os
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from risexp.core.signals import SignalHandler, exit_code_of, signals_held, write_stderr

KINDS = (signal.SIGINT, signal.SIGTERM)


def test_signals_are_counted_in_order_and_handed_on() -> None:
    received: list[int] = []

    with SignalHandler(received.append) as handler:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    assert [15, 2, 15] == handler.numbers == received
    assert [75, 130, 75] == [exit_code_of(number) for number in (15, 2, signal.SIGUSR1)]


def test_the_previous_handlers_come_back_also_after_an_error() -> None:
    before = [signal.getsignal(kind) for kind in KINDS]

    with pytest.raises(ValueError, match="inside"), SignalHandler():
        raise ValueError("inside")

    assert before == [signal.getsignal(kind) for kind in KINDS]
    with SignalHandler(kinds=[signal.SIGTERM]):
        assert before[0] == signal.getsignal(signal.SIGINT)


def test_a_terminal_that_is_gone_is_a_signal_unless_it_is_ignored() -> None:
    with SignalHandler(kinds=[signal.SIGHUP]) as handler:
        os.kill(os.getpid(), signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        with SignalHandler(kinds=[signal.SIGHUP]) as under_nohup:
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert ([signal.SIGHUP], []) == (handler.numbers, under_nohup.numbers)


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Signals that come once their handler is installed, and before the next one is."""
    numbers, install = list[int](), signal.signal
    # A shell's background jobs ignore it.
    usual = install(signal.SIGINT, signal.default_int_handler)

    def installed(kind: int, handler: Any) -> Any:  # noqa: ANN401 - of the standard library
        before = install(kind, handler)
        while kind in numbers:
            numbers.remove(kind)
            signal.raise_signal(kind)
        return before

    monkeypatch.setattr(signal, "signal", installed)
    yield numbers
    install(signal.SIGINT, usual)


def test_a_signal_while_handlers_are_installed_is_held(early: list[int]) -> None:
    before, early[:] = [signal.getsignal(kind) for kind in KINDS], [signal.SIGINT]
    done = list[str]()

    with signals_held():
        done.append("body")

    assert (["body"], []) == (done, early)
    assert before == [signal.getsignal(kind) for kind in KINDS]


def test_a_second_signal_while_handlers_are_installed_leaves_none(early: list[int]) -> None:
    before, early[:] = [signal.getsignal(kind) for kind in KINDS], [signal.SIGINT] * 2

    with pytest.raises(KeyboardInterrupt), signals_held():
        pass

    assert before == [signal.getsignal(kind) for kind in KINDS]


def test_a_line_from_a_handler_goes_past_all_buffers(capfd: pytest.CaptureFixture[str]) -> None:
    write_stderr("SIGTERM: the run ends")

    assert "SIGTERM: the run ends\n" == capfd.readouterr().err


SWALLOWS = """
import os, signal
swallowed = False
try:
    os.kill(os.getpid(), signal.SIGTERM)
    sum(range(1000))
except BaseException:
    swallowed = True
"""


def test_a_module_that_is_being_loaded_is_not_left_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What loads it may swallow the handler's exception, and with it the signal."""
    (tmp_path / "swallowing_module.py").write_text(SWALLOWS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def receive(_: int) -> None:
        raise KeyboardInterrupt

    with SignalHandler(receive, [signal.SIGTERM]) as handler:
        loaded = import_module("swallowing_module")
        assert not loaded.swallowed
        with pytest.raises(KeyboardInterrupt):
            handler.wait(30.0)

    assert [signal.SIGTERM] == handler.numbers
