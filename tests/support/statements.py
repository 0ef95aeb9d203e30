"""Statements that a database executes."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from risexp.hpo.store.store import StudyStore


@contextmanager
def statements(store: StudyStore) -> Iterator[list[str]]:
    """The statements that the database executes."""
    executed: list[str] = []

    def note(*arguments: object) -> None:
        executed.append(str(arguments[2]))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
