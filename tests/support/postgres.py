"""A private PostgreSQL server for the tests of the search, if one is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.support.requirements import require

INSTALLED = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of this process, on a socket in a temporary folder."""

    programs: Path
    folder: Path
    user: str | None
    """The user that runs it; None for the user of the tests."""

    def url(self, database: str) -> str:
        return f"postgresql://risexp@/{database}?host={self.folder}"

    def execute(self, database: str, statement: str) -> None:
        """One statement, outside a transaction."""
        url = self.url(database).replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def create(self, database: str) -> str:
        """A new database and its URL."""
        self.execute("postgres", f'CREATE DATABASE "{database}" TEMPLATE template0')
        return self.url(database)

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs, which refuse to run as root."""
        subprocess.run(  # noqa: S603 - the programs of the system's own package
            [str(self.programs / program), *arguments],
            user=self.user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl` and wait for it."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", *arguments)

    def start(self) -> None:
        """Start the server; it listens only on its socket."""
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self.folder} "
            "-c fsync=off -c full_page_writes=off"
        )
        self.control("-o", options, "-l", str(self.folder / "log"), "start")


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server; without an installed one the test is skipped, or fails if required."""
    found = sorted(INSTALLED.glob("*/bin/pg_ctl"))
    require(bool(found), f"no PostgreSQL server in {INSTALLED}: install postgresql")
    require(find_spec("psycopg") is not None, "no psycopg: pip install 'risexp[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="risexp-pg-"))
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
        shutil.chown(folder, user)
    server = Server(found[-1].parent, folder, user)
    try:
        data = str(folder / "data")
        server.run("initdb", "-D", data, "-U", "risexp", "-A", "trust", "-N", "-E", "UTF8")
        server.start()
        try:
            yield server
        finally:
            server.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
