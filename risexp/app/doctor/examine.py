"""A check-up: whether environment, stores and studies are in order, and what was left behind.

It changes nothing unless it is asked to mend, and then only what loses nothing; it may be called
at any time, also while a search runs.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import optuna

from risexp.app.doctor.artifact_checks import kept_checks
from risexp.app.doctor.check import Check, Diagnosis
from risexp.app.doctor.environment import environment_checks
from risexp.app.doctor.facts import StudyStatus
from risexp.app.doctor.fix import apply_fixes
from risexp.app.doctor.leftovers import file_leftovers, folder_leftovers, study_leftovers
from risexp.app.doctor.snapshot import Snapshot, read_again, read_snapshot
from risexp.app.doctor.stores import destinations, records_check, studies_store
from risexp.app.doctor.study import study_checks
from risexp.app.doctor.study_case import StableCheck, StudyCase, case_of
from risexp.app.doctor.tracking_checks import record_checks
from risexp.app.doctor.tracking_data import recorded
from risexp.app.run.sync import Destinations
from risexp.errors import RisexpError
from risexp.hpo.store.store import StudyStore
from risexp.tracking.stores import chosen_store
from risexp.tracking.study_run import study_rows

Tell = Callable[[str], None]


def examine(
    studies: Sequence[str] = (),
    *,
    fix: bool = False,
    tell: Tell = lambda _: None,
) -> Diagnosis:
    """Look at everything, and say of each thing whether it is as it should be.

    Args:
        studies: Names; all studies and all runs where none is given.
        fix: Whether to mend first what can be mended without a loss.
        tell: Told in sentences what is waited for, and what could not be mended.

    Raises:
        InvalidInput: There is no study of such a name, or the environment names no store.
    """
    # Its sentences are for whoever calls it from a program.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    done = tuple(apply_fixes(studies, tell)) if fix else ()
    with studies_store() as opened:
        look = read_snapshot(opened, studies, destinations())
        return Diagnosis((*environment_checks(), *_checks(look, studies, tell)), done)


def _checks(look: Snapshot, studies: Sequence[str], tell: Tell) -> Iterator[Check]:
    yield look.studies.check
    yield records_check(look.destinations, chosen_store(None))
    yield from look.others
    for facts in look.facts:
        if look.store is not None:
            yield from _of_study(look.store, facts, look.destinations, tell)
    known = None if studies else look.known
    yield from folder_leftovers(look.folders, look.facts, known, look.destinations)
    yield from file_leftovers()


def _of_study(
    store: StudyStore, facts: StudyStatus, places: Destinations, tell: Tell
) -> list[Check]:
    """Everything about a study; a warning alone where it cannot be looked at twice."""

    def read(seen: StudyStatus) -> StudyCase:
        return case_of(seen, recorded(seen, places, partial(study_rows, tell=tell)))

    twice = StableCheck(read(facts), lambda: read(read_again(store, facts)))
    try:
        checks = [*study_checks(twice), *record_checks(twice), *kept_checks(twice)]
    except RisexpError as error:
        said = f"something changes, and it cannot be read again ({error}): call again"
        return [Check("studies", f"{facts.name}: state", "warn", said)]
    return [*checks, *study_leftovers(facts, twice.first.found)]
