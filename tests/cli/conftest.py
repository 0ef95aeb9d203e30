"""Fixtures of all command tests."""

import os
from pathlib import Path

import pytest

from tests.support.commands import TRAIN, succeed


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in an empty folder and a clean environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RISEXP_HOME", raising=False)
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")
    for name in os.environ:
        if name.startswith("RISEXP__"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run that is recorded nowhere, to be copied."""
    home = tmp_path_factory.mktemp("trained") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        patch.setenv("RISEXP_TRACKING_URI", "off")
        succeed(TRAIN)
    return home
