from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.runs.folder import create_run
from risexp.runs.machine import Usage, environment

CPU = torch.device("cpu")


def clock(*times: float) -> Callable[[], float]:
    left = iter(times)
    return lambda: next(left)


def test_cores_are_counted_since_the_last_look() -> None:
    usage = Usage(clock(0.0, 1e-3, 1e6))
    sum(number * number for number in range(200_000))

    busy, idle = usage(), usage()

    assert busy["cpu"] > 1.0 > idle["cpu"] >= 0.0
    assert 50.0 < idle["memory_mb"] < 1e6  # that of a process which has loaded torch


def test_the_environment_names_versions_threads_and_device() -> None:
    versions = environment(CPU)

    assert torch.__version__ == versions["packages"]["torch"]
    assert (torch.get_num_threads(), "cpu") == (versions["threads"], versions["device"])


def test_no_environment_variable_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret-1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:planted-secret-2@host/db")
    run = create_run("run-1", RunConfig(), ())

    run.begin(environment(CPU))

    texts = [path.read_text("utf-8") for path in run.path.rglob("*") if path.is_file()]
    assert [] == [text for text in texts if "planted-secret" in text]
