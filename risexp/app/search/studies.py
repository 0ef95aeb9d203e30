"""Studies as people ask about them: which there are, how one stands, and its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from risexp.errors import DataInvalid, InvalidInput
from risexp.hpo.store.address import store_url
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import End, StudyRef, end_study, find_study, study_names
from risexp.hpo.studies.table import StudyTable, study_table

_LOOK_S: Final = 1.0


@contextmanager
def the_store() -> Iterator[StudyStore]:
    """The store of this home, or the one that the environment names."""
    store = open_store(store_url())
    try:
        yield store
    finally:
        store.close()


def list_studies() -> tuple[list[StudyTable], list[str]]:
    """Every study that risexp made, and in sentences what is wrong with others."""
    tables, others = [], []
    with the_store() as store:
        for name in sorted(study_names(store)):
            try:
                tables.append(_table(store, find_study(store, name)))
            except (InvalidInput, DataInvalid) as error:
                others.append(str(error))
    return tables, others


def show_study(name: str) -> StudyTable:
    """How one study stands.

    Raises:
        InvalidInput: There is none of that name.
    """
    with the_store() as store:
        return _table(store, find_study(store, name))


def stop_study(name: str) -> End:
    """End a study: trials that run are given back at the end of their epoch, and wait.

    Raises:
        InvalidInput: There is none of that name, or nothing of it is left.
    """
    with the_store() as store:
        study = find_study(store, name)
        if _table(store, study).over:
            raise InvalidInput(f"nothing of study {name} is left to be stopped")
        return end_study(store, study, "stopped by hand")


def watch_study(name: str, show: Callable[[StudyTable], None]) -> StudyTable:
    """Show a study until it is over, or has ended and nothing of it runs any more.

    Raises:
        InvalidInput: There is none of that name.
    """
    with the_store() as store:
        study = find_study(store, name)
        while True:
            table = _table(store, study)
            show(table)
            if table.over or (table.ended is not None and not table.count("running")):
                return table
            time.sleep(_LOOK_S)


def _table(store: StudyStore, study: StudyRef) -> StudyTable:
    return study_table(store, study, spec_from_facts(study.name, study.facts).space)
