"""Everything that a check-up looks at, read once."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

from risexp.app.doctor.check import Check
from risexp.app.doctor.facts import StudyStatus, in_folders, study_facts
from risexp.app.doctor.folders import Folders, folders
from risexp.app.doctor.stores import Studies
from risexp.app.run.sync import Destinations
from risexp.errors import EnvironmentFailed, InvalidInput, RisexpError
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, find_study, study_names


@dataclass(frozen=True)
class Snapshot:
    """What there is, at one moment."""

    studies: Studies
    facts: tuple[StudyStatus, ...]
    """Of the studies that were asked for."""
    known: frozenset[str] | None
    """Identifiers of all studies; None where one of them or their database does not tell."""
    others: tuple[Check, ...]
    """What is said of studies that cannot be read, or are not ours."""
    folders: Folders
    destinations: Destinations

    @property
    def store(self) -> StudyStore | None:
        """The database of studies, where it answers."""
        return self.studies.store


def read_snapshot(studies: Studies, names: Sequence[str], destinations: Destinations) -> Snapshot:
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
    store = studies.store
    asked = dict.fromkeys(names) or _names(store)
    answers = [] if store is None else [_read(store, each, strict=bool(names)) for each in asked]
    found = [each for each in answers if isinstance(each, StudyStatus)]
    seen = folders(names)
    unread = any(isinstance(each, _Unread) for each in answers)
    # Whoever searched while folders were read is known to the next check-up.
    told = store is not None and not names and not unread and asked == _names(store)
    return Snapshot(
        studies=studies,
        facts=tuple(in_folders(each, seen) for each in found),
        known=frozenset(each.study.uid for each in found) if told else None,
        others=tuple(each for each in answers if isinstance(each, Check)),
        folders=seen,
        destinations=destinations,
    )


def read_again(store: StudyStore, facts: StudyStatus) -> StudyStatus:
    """A study once more, when nobody is making it.

    Raises:
        RisexpError: Somebody is, or the store does not answer.
    """
    return in_folders(study_facts(store, find_study(store, facts.name)), folders((facts.name,)))


class _Unread(Check):
    """What is said of a study that may be ours and cannot be read."""


def _names(store: StudyStore | None) -> list[str]:
    return [] if store is None else sorted(study_names(store))


def _read(store: StudyStore, name: str, *, strict: bool) -> StudyStatus | Check:
    """A study, or what is said of one that cannot be read or is not ours."""
    what = f"{name}: state"
    try:
        return study_facts(store, _study(store, name))
    except _Making as error:
        return _Unread("studies", what, "warn", f"somebody is making it ({error}): call again")
    except InvalidInput as error:
        if strict:
            raise
        return Check("studies", what, "warn", str(error))
    except RisexpError as error:
        return _Unread("stores", what, "fail", str(error))


class _Making(RisexpError):
    """Somebody has the lock under which studies are made."""


def _study(store: StudyStore, name: str) -> StudyRef:
    """A study as it stands, also while others are made; the lock tells one of them from a stranger.

    Raises:
        _Making: Somebody has the lock.
        InvalidInput: There is none of that name, or it was not made by us.
    """
    with suppress(InvalidInput):
        return find_study(replace(store, locked=lambda _: nullcontext()), name)
    try:
        return find_study(store, name)
    except EnvironmentFailed as error:
        raise _Making(str(error)) from None
