"""The databases of a soak."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.databases import Database, InFile, OnServer
from tests.soak.stage import small_disk
from tests.support.postgres import Server, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["postgresql", "sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """Folder of the home, and whether it is a disk of its own."""
    with small_disk(tmp_path / "home") as mounted:
        yield tmp_path / "home", mounted


@pytest.fixture
def database(
    request: pytest.FixtureRequest, backend: str, disk: tuple[Path, bool], tmp_path: Path
) -> Database:
    """The database of the search."""
    if backend == "sqlite":
        return InFile(f"sqlite:///{disk[0] / 'mlruns' / 'optuna.db'}")
    server: Server = request.getfixturevalue("server")
    return OnServer(server.create(tmp_path.name), server)


@pytest.fixture
def url(database: Database) -> str:
    """Of the database of the search, which the oracle reads."""
    return database.url
