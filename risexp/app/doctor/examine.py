"""A check-up: whether environment, stores and studies are in order, and what was left behind.

It changes nothing unless it is asked to mend, and then only what loses nothing; it may be called
at any time, also while a search runs.
"""

from collections.abc import Callable, Iterator, Sequence

import optuna

from risexp.app.doctor.check import Check, Diagnosis, judged
from risexp.app.doctor.environment import environment_checks
from risexp.app.doctor.facts import StudyFacts
from risexp.app.doctor.look import Look, journals, look_at
from risexp.app.doctor.mend import mend
from risexp.app.doctor.record import Recorded, record_checks, recorded
from risexp.app.doctor.stale import file_leftovers, folder_leftovers, study_leftovers
from risexp.app.doctor.stores import Destinations, studies_store
from risexp.app.doctor.study import invariant_checks, report_check, state_check
from risexp.tracking.reading import study_rows
from risexp.tracking.stores import chosen_store


def examine(
    studies: Sequence[str] = (),
    *,
    fix: bool = False,
    tell: Callable[[str], None] = lambda _: None,
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
    done = tuple(mend(studies, tell)) if fix else ()
    with studies_store() as opened:
        look = look_at(opened, studies, Destinations())
        return Diagnosis((*environment_checks(), *_checks(look, studies)), done)


def _checks(look: Look, studies: Sequence[str]) -> Iterator[Check]:
    yield look.studies.check
    yield look.destinations.check(chosen_store(None))
    yield from look.others
    for facts in look.facts:
        # MLflow first: a journal that grows meanwhile has all that was sent of it.
        found = recorded(facts, look.destinations, study_rows)
        yield from _study_checks(facts, found)
        yield from study_leftovers(facts, found)
    known = None if studies else look.known
    yield from folder_leftovers(look.folders, look.facts, known, look.destinations)
    yield from file_leftovers()


def _study_checks(facts: StudyFacts, found: Recorded) -> Iterator[Check]:
    contents, damaged = journals(facts)
    yield state_check(facts)
    yield from invariant_checks(facts)
    yield from record_checks(facts, found, contents)
    yield report_check(facts, contents)
    if damaged:
        advice = "put a copy back; its trial cannot be compared"
        yield judged("studies", f"{facts.name}: journals", damaged, "", advice)
