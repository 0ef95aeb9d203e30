"""Everything that a check-up looks at, read once."""

from collections.abc import Sequence
from dataclasses import dataclass

from risexp.app.doctor.check import Check
from risexp.app.doctor.facts import StudyFacts, in_folders, study_facts
from risexp.app.doctor.folders import Folders, folders
from risexp.app.doctor.stores import Destinations, Studies
from risexp.errors import InvalidInput, RisexpError
from risexp.hpo.store import Store
from risexp.hpo.studies import StudyRef, find_study, study_names
from risexp.tracking.lines import Contents


@dataclass(frozen=True)
class Look:
    """What there is, at one moment."""

    studies: Studies
    facts: tuple[StudyFacts, ...]
    """Of the studies that were asked for."""
    known: frozenset[str] | None
    """Identifiers of all studies; None where their database does not tell."""
    others: tuple[Check, ...]
    """What is said of studies that cannot be read, or are not ours."""
    folders: Folders
    destinations: Destinations

    @property
    def store(self) -> Store | None:
        """The database of studies, where it answers."""
        return self.studies.store


def look_at(studies: Studies, names: Sequence[str], destinations: Destinations) -> Look:
    """Look at some studies and all that belongs to them; at everything where none is named.

    Args:
        studies: Their database.
        names: Of the studies.
        destinations: Where records are.

    Raises:
        InvalidInput: There is no study of such a name.
    """
    if studies.missing and names:
        raise InvalidInput(f"there is no study {names[0]!r}: no search has been made yet")
    found, others = _studies(studies.store, names)
    read, unread = _facts(studies.store, found)
    seen = folders(names)
    return Look(
        studies=studies,
        facts=tuple(in_folders(each, seen) for each in read),
        known=None if studies.store is None else frozenset(each.uid for each in found),
        others=(*others, *unread),
        folders=seen,
        destinations=destinations,
    )


def journals(facts: StudyFacts) -> tuple[dict[int, Contents], list[str]]:
    """The journals of a study's trials by number, and what is wrong with those that are damaged."""
    found, damaged = dict[int, Contents](), list[str]()
    for number, seen in facts.folders.items():
        try:
            found[number] = seen.spool.lines()
        except RisexpError as error:
            damaged.append(str(error))
    return found, damaged


def _studies(store: Store | None, names: Sequence[str]) -> tuple[list[StudyRef], list[Check]]:
    """The studies that are asked for, all where none is named; and what is said of others."""
    if store is None:
        return [], []
    if names:
        return [find_study(store, name) for name in dict.fromkeys(names)], []
    found, others = list[StudyRef](), list[Check]()
    for name in sorted(study_names(store)):
        try:
            found.append(find_study(store, name))
        except InvalidInput as error:
            others.append(Check("studies", f"{name}: state", "warn", str(error)))
        except RisexpError as error:
            others.append(Check("stores", f"{name}: state", "fail", str(error)))
    return found, others


def _facts(
    store: Store | None, studies: Sequence[StudyRef]
) -> tuple[list[StudyFacts], list[Check]]:
    found, unread = list[StudyFacts](), list[Check]()
    for study in studies:
        if store is None:
            continue
        try:
            found.append(study_facts(store, study))
        except RisexpError as error:
            unread.append(Check("stores", f"{study.name}: state", "fail", str(error)))
    return found, unread
