"""What every test stands on: one thread, loud casts, and the device named on the command line."""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# Without it torch warns of a complex-to-real cast once a process, and the second one is silent.
torch.set_warn_always(True)

settings.register_profile(
    "risexp", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("risexp"), max_examples=400)
settings.load_profile("risexp")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device the tests run on, e.g. cuda")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(str(request.config.getoption("--device")))


@pytest.fixture(scope="session")
def order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound home with a finished search, made once and copied."""
    from tests.support.homes import search_in_order

    home = tmp_path_factory.mktemp("order") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        for name in ("RISEXP_STORE", "RISEXP_TRACKING_URI"):
            patch.delenv(name, raising=False)
        search_in_order()
    return home


@pytest.fixture
def in_order(order: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sound home, as home and working folder."""
    home = tmp_path / "home"
    shutil.copytree(order, home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("RISEXP_HOME", str(home))
    for name in ("RISEXP_STORE", "RISEXP_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    return tmp_path
