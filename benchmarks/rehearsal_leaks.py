"""Secrets where none should be: in arguments, environments, logs, files and databases."""

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from rehearsal_doors import connected
from stage import Stage

_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 30.0
_DIGITS: Final = 48
"""Of a secret, as it is made."""
PLANTED: Final = "planted"
_DECOY: Final = "dec0" * 12
_PLACES: Final = ("arguments", "databases", "environments", "files of runs", "logs")


class Watch:
    """Looks for secrets in the arguments and environments of all processes, again and again."""

    def __init__(self, stage: Stage, secrets: Mapping[str, bytes]) -> None:
        self.secrets = secrets
        self.found: set[tuple[str, str]] = set()
        self.looks = 0
        self._stage = stage
        self._over = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def look(self) -> None:
        """Look once."""
        for place in Path("/proc").glob("[0-9]*"):
            self._note(place / "cmdline", "arguments")
        for place in self._stage.processes():
            self._note(place / "environ", "environments")
        self.looks += 1

    def _run(self) -> None:
        try:
            while not self._over.wait(_LOOK_S):
                self.look()
        except Exception as error:  # noqa: BLE001 - raised again where somebody sees it
            self._failed = error

    def _note(self, path: Path, kind: str) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return  # it has just ended, or is another's
        seen = {name for name, secret in self.secrets.items() if secret in content}
        self.found |= {(kind, name) for name in seen}


def secrets_of(folder: Path) -> dict[str, bytes]:
    """Every password, key and token of a deployment by its file, and one that is to be found."""
    found = {PLANTED: _DECOY.encode()}
    for path in sorted((folder / "secrets").iterdir()):
        words = path.read_text(encoding="utf-8").replace(":", " ").split()
        for word in words:
            if len(word) == _DIGITS and not word.strip("0123456789abcdef"):
                found[path.name] = word.encode()
    return found


def plant(stage: Stage, watch: Watch) -> None:
    """Put one secret wherever secrets are looked for."""
    with connected(stage, "studies", "studies") as connection:
        connection.execute("CREATE TABLE planted AS SELECT %s AS secret", [_DECOY])
    # The shell stays, and with it its arguments, until somebody ends it.
    told = stage.here("init", f"echo {_DECOY}; echo {_DECOY} >/data/{PLANTED}; sleep 60; exit")
    actor = stage.start("init", ("env", f"DECOY={_DECOY}", "sh", "-c", told))
    wanted = {("arguments", PLANTED), ("environments", PLANTED)}
    limit = time.monotonic() + _PATIENCE_S
    while not wanted <= watch.found and time.monotonic() < limit:
        watch.look()
    stage.kill(actor)


def leaks(stage: Stage, watch: Watch) -> tuple[dict[str, list[str]], list[str]]:
    """By place, the names of secrets that were found; and the places where the planted one was."""
    files = [path for path in (stage.folder / "data").rglob("*") if path.is_file()]
    looked = {
        "logs": _names(watch, (path.read_bytes() for path in (stage.root / "logs").iterdir())),
        "files of runs": _names(
            watch, (path.read_bytes() for path in files if "postgres" not in path.parts)
        ),
        "databases": _names(watch, (_rows(stage, name) for name in ("studies", "mlflow"))),
    }
    for kind in ("arguments", "environments"):
        looked[kind] = {name for found, name in watch.found if found == kind}
    planted = [place for place in _PLACES if PLANTED in looked[place]]
    return {place: sorted(looked[place] - {PLANTED}) for place in _PLACES}, planted


def _names(watch: Watch, contents: Iterable[bytes]) -> set[str]:
    return {
        name for content in contents for name, secret in watch.secrets.items() if secret in content
    }


def _rows(stage: Stage, database: str) -> bytes:
    """All rows of a database, those of its own tables included."""
    rows: list[bytes] = []
    with connected(stage, "admin", database) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname <> 'information_schema'"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                rows += [bytes(each) for each in copy]
    return b"".join(rows)
