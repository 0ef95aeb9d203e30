"""Where a study is worked on: the home of its runs, and hosts that cannot go on."""

import socket
from typing import Final

from risexp.core.home import home, home_id
from risexp.errors import InvalidInput
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.runs.folder import is_run

_HOME: Final = "risexp.home"
_WAITS: Final = "risexp.waits."


def join_home(store: StudyStore, study: StudyRef) -> str | None:
    """Check that this home is the one of the study's runs, which the first to work there sets.

    In another home a trial would begin anew, since its checkpoints are not there.

    Returns:
        A sentence if the study has begun without a home, as earlier versions began one.
    """
    own, place = home_id(), str(home().absolute())
    way = f"`risexp worker --study {study.name} --own-home` train with checkpoints of its own"
    with store.locked(f"study {study.name}"):
        known = store.storage.get_study_user_attrs(study.id).get(_HOME)
        if known is None:
            begun = [each.run_id for each in Leases(store, study.uid).attempts()]
            if begun and not any(map(is_run, begun)):
                raise InvalidInput(
                    f"an earlier version began study {study.name}, and {place} holds none of its "
                    f"runs: name the folder that does by RISEXP_HOME, or let {way}"
                )
            value = {"id": own, "path": place, "host": socket.gethostname()}
            store.storage.set_study_user_attr(study.id, _HOME, value)
            return f"study {study.name} keeps its runs in {place} from now on" if begun else None
    if known["id"] != own:
        raise InvalidInput(
            f"study {study.name} keeps its runs in {known['path']} of {known['host']}, and {place} "
            f"is another home: share that folder and name it by RISEXP_HOME, or let {way}"
        )
    return None


class HostNote:
    """The note of one host in a study: why it claims no trial."""

    def __init__(self, store: StudyStore, study: StudyRef, host: str) -> None:
        self._store = store
        self._study = study
        self._host = host
        # A worker that died here may have left a note.
        self._known = waiting_hosts(store, study).get(host)

    @property
    def fault(self) -> str | None:
        """The fault that the study knows of; None if it knows none."""
        return self._known

    def set(self, fault: str | None) -> bool:
        """Write the fault, or delete the note if there is none; whether that is new."""
        if fault == self._known:
            return False
        key = f"{_WAITS}{self._host}"
        self._store.storage.set_study_user_attr(self._study.id, key, fault)
        self._known = fault
        return True


def waiting_hosts(store: StudyStore, study: StudyRef) -> dict[str, str]:
    """Why hosts claim no trial of a study, by host."""
    attributes = store.storage.get_study_user_attrs(study.id)
    return {
        key.removeprefix(_WAITS): fault
        for key, fault in attributes.items()
        if key.startswith(_WAITS) and fault is not None
    }
