import os
import signal

import pytest

from risexp.core.failpoint import CRASH_AT, POINTS, STOP_AT, failpoint


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Signals this process would have sent itself."""
    numbers: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: numbers.append(number))
    return numbers


@pytest.mark.parametrize(
    ("variable", "number"), [(CRASH_AT, signal.SIGKILL), (STOP_AT, signal.SIGSTOP)]
)
def test_an_armed_point_fires_once_and_no_other_does(
    variable: str, number: int, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for point in POINTS:
        failpoint(point)
    monkeypatch.setenv(variable, "finish.told")

    failpoint("finish.noted")
    failpoint("finish.told")
    failpoint("finish.told")

    assert [number] == sent
    assert variable not in os.environ
