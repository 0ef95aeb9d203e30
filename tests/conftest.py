"""What every test stands on: one thread, loud casts, and the device named on the command line."""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings
from optuna.storages._rdb.storage import _VersionManager

if TYPE_CHECKING:
    from risexp.hpo.store.store import StudyStore

torch.set_num_threads(1)
# Without it torch warns of a complex-to-real cast once a process, and the second one is silent.
torch.set_warn_always(True)

compute_head = _VersionManager.get_head_version


@cache
def head_version() -> str:
    """Of Optuna's tables: it compiles all its migrations for it, 0.05 s at each opening."""
    manager = object.__new__(_VersionManager)
    manager.url = "sqlite://"
    return compute_head(manager)


_VersionManager.get_head_version = lambda _: head_version()  # type: ignore[assignment, method-assign]
settings.register_profile(
    "random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# By day the same examples each time; new ones are looked for by `make faults` and at night.
settings.register_profile(
    "risexp", settings.get_profile("random"), max_examples=25, derandomize=True
)
settings.register_profile("faults", settings.get_profile("random"), max_examples=40)
settings.register_profile("nightly", settings.get_profile("random"), max_examples=400)
settings.load_profile("risexp")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device the tests run on, e.g. cuda")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out soaks that are not asked for by their mark, whatever else is."""
    if "soak" in str(config.getoption("-m")):
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    items[:] = [item for item in items if item not in soaks]
    if soaks:
        config.hook.pytest_deselected(items=soaks)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(str(request.config.getoption("--device")))


@pytest.fixture(scope="session", autouse=True)
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a test session share, for what is slow to make."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ["TESTS_SHARED"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def order(shared: Path) -> Path:
    """A sound home with a finished search, made once and copied."""
    from tests.support.homes import search_in_order

    home = shared / "order"
    with FileLock(shared / "order.lock"), pytest.MonkeyPatch.context() as patch:
        if (shared / "order.made").exists():
            return home
        patch.setenv("RISEXP_HOME", str(home))
        for name in ("RISEXP_STORE", "RISEXP_TRACKING_URI"):
            patch.delenv(name, raising=False)
        search_in_order()
        (shared / "order.made").touch()
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


@pytest.fixture(autouse=True)
def told_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write the classes of a test's faults into the report of `make faults`.

    With them go their number, the database, and what was lost or done twice there.
    """
    faults = [name for marker in request.node.iter_markers("fault") for name in marker.args]
    if not faults:
        yield
        return
    told = request.node.user_properties
    told += [("fault", name) for name in faults]
    told.append(("injected", getattr(request.function, "cases", 1)))
    if "backend" not in request.fixturenames:
        yield
        return
    from tests.support.oracle import judge

    told.append(("database", request.getfixturevalue("backend")))
    url = str(request.getfixturevalue("url"))
    yield
    ledger = judge(url)
    told += [("lost", ledger.lost), ("duplicated", ledger.duplicated)]
    assert (0, 0) == (ledger.lost, ledger.duplicated)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def empty_database(shared: Path) -> Path:
    """Of Optuna's, with the tables and no study; to be copied."""
    from risexp.hpo.store.store import open_store

    path = shared / "optuna.db"
    with FileLock(shared / "optuna.lock"):
        if not path.exists():
            open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def own_store(tmp_path: Path, empty_database: Path) -> Iterator["StudyStore"]:
    """A store without a study, of one test alone."""
    from tests.support.worker_processes import opened

    with opened(f"sqlite:///{shutil.copy(empty_database, tmp_path / 'studies.db')}") as store:
        yield store
