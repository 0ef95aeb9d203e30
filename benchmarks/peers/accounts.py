"""What a search left in its own store, counted without the code that wrote it.

Optuna's and risexp's databases are read by SQL, Ray's experiment by its files; only the journal is
read through Optuna, whose format it is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from peers.toy import NAME, Settings

Record = tuple[str, str]
"""A record of a store: the trial as a user counts it, and its state."""

_RETRIES: Final = (
    "SELECT t.number, t.state, a.value_json FROM trials t LEFT JOIN trial_system_attributes a "
    "ON a.trial_id = t.trial_id AND a.key = 'failed_trial'"
)
_SLOTS: Final = (
    "SELECT t.number, t.state, a.value_json FROM trials t LEFT JOIN trial_user_attributes a "
    "ON a.trial_id = t.trial_id AND a.key = 'slot'"
)


@dataclass(frozen=True)
class Accounts:
    """The trials of a search when none of its processes is left."""

    records: int
    complete: int
    """Records that are complete."""
    lost: int
    """Trials wanted, less those that are complete at least once."""
    stuck: int
    """Records that still run, though no process is left."""
    unfinished: int
    """Trials that were begun or made and have no complete record."""
    twice: int
    """Complete records beyond the first of their trials."""
    over: int
    """Complete trials beyond those that were wanted."""


def count(records: Iterable[Record], wanted: int) -> Accounts:
    """The accounts of records, all of one search."""
    all_of_them = list(records)
    states = Counter(state for _, state in all_of_them)
    complete = Counter(trial for trial, state in all_of_them if state == "COMPLETE")
    return Accounts(
        records=len(all_of_them),
        complete=states["COMPLETE"],
        lost=max(wanted - len(complete), 0),
        stuck=states["RUNNING"],
        unfinished=len({trial for trial, _ in all_of_them} - complete.keys()),
        twice=sum(complete.values()) - len(complete),
        over=max(len(complete) - wanted, 0),
    )


def optuna_records(settings: Settings) -> list[Record]:
    """Records of stock Optuna's database; a retry belongs to the trial that it retries."""
    return _query(settings.url, _RETRIES)


def risexp_records(settings: Settings) -> list[Record]:
    """Records of risexp's database by their slots of the budget."""
    embedded = f"sqlite:///{Path(settings.folder) / 'mlruns' / 'optuna.db'}"
    return _query(settings.url or embedded, _SLOTS)


def journal_records(settings: Settings) -> list[Record]:
    """Records of Optuna's journal file."""
    storage = JournalStorage(JournalFileBackend(settings.url.partition("://")[2]))
    study = optuna.load_study(study_name=NAME, storage=storage)
    return [(str(trial.number), trial.state.name) for trial in study.get_trials(deepcopy=False)]


def ray_records(settings: Settings) -> list[Record]:
    """Records of Ray's last snapshot of the experiment, complete only with the last epoch."""
    folder = Path(settings.folder) / "experiments" / NAME
    # A continued search copies the snapshots before it again: the name tells the newest.
    newest = max(folder.glob("experiment_state-*.json"))
    records = list[Record]()
    for state, more in json.loads(newest.read_text("utf-8"))["trial_data"]:
        trial, last = json.loads(state), json.loads(more)["last_result"] or {}
        ended = trial["status"] == "TERMINATED" and last.get("epoch") == settings.epochs
        status = "COMPLETE" if ended else str(trial["status"])
        records.append((trial["trial_id"], status.replace("TERMINATED", "FAIL")))
    return records


def _query(url: str, question: str) -> list[Record]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(text(question)).all()
    return [
        (str(number if value is None else json.loads(value)), state)
        for number, state, value in rows
    ]


READERS: Final[Mapping[str, Callable[[Settings], list[Record]]]] = {
    "risexp": risexp_records,
    "optuna": optuna_records,
    "journal": journal_records,
    "ray": ray_records,
}
"""By the system that wrote the store."""
