"""What the stores of a home say, for the pages to be held against."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Trial:
    name: str
    run_id: str
    k_loc: float


def trials(home: Path) -> list[Trial]:
    rows = _asked(
        home,
        "SELECT r.name, r.run_uuid, m.value FROM runs r JOIN latest_metrics m USING (run_uuid) "
        "WHERE m.key = 'best/k_loc' ORDER BY r.name",
    )
    return [Trial(*row) for row in rows]


def run_of(home: Path, number: int | None) -> str:
    """MLflow's id of the run of a trial, or of the study's own."""
    name = "pages" if number is None else f"pages-{number:03d}"
    ((run_id,),) = _asked(home, f"SELECT run_uuid FROM runs WHERE name = '{name}'")  # noqa: S608
    return str(run_id)


def studies(home: Path) -> list[str]:
    rows = _asked(home, "SELECT study_name FROM studies", "optuna.db")
    return [str(name) for (name,) in rows]


def _asked(home: Path, question: str, store: str = "mlflow.db") -> list[Any]:
    with closing(sqlite3.connect(home / "mlruns" / store)) as connection:
        return connection.execute(question).fetchall()
