"""Fixtures of all command tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in an empty folder and a clean environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RISEXP_HOME", raising=False)
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")
    for name in os.environ:
        if name.startswith("RISEXP__"):
            monkeypatch.delenv(name)
