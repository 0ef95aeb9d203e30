"""The rehearsal of a deployment: on a machine that cannot rehearse, and with failing parts."""

import importlib
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("rehearsal")


def test_a_machine_that_cannot_rehearse_has_its_own_exit_code(
    rehearsal: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rehearsal, "why_not", lambda: "there is no PostgreSQL server")
    monkeypatch.setattr("sys.argv", ["rehearsal.py"])

    with pytest.raises(SystemExit) as ended:
        rehearsal.main()

    assert (77, "not rehearsed: there is no") == (ended.value.code, capsys.readouterr().err[:26])


def test_a_failing_command_gives_its_reason(rehearsal: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"risexp deploy ended with exit code 2: .*name one of"):
        rehearsal._run("risexp", "deploy", "check")


def test_a_failing_watch_is_reported_at_the_end(rehearsal: ModuleType) -> None:
    looked = threading.Event()

    class Stage:
        def processes(self) -> NoReturn:
            looked.set()
            raise ValueError("a fault of the watch")

    watch: Any = rehearsal.Watch(Stage(), {"a": b"a secret that is in no list of processes"})
    with pytest.raises(ValueError, match="a fault of the watch"), watch:
        assert looked.wait(30)
