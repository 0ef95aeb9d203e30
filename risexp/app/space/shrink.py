"""The next, narrower space of a study that has been searched."""

from risexp.errors import InvalidInput, SpaceInvalid
from risexp.hpo.search.parameters import ended_trials
from risexp.hpo.store.address import address_of, embedded, store_url
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import find_study
from risexp.space.check import check_space
from risexp.space.shrink import shrink
from risexp.space.spec import SearchSpace


def shrunk(study: str, name: str) -> SearchSpace:
    """A space around the best trials of a study, of this home or the store the environment names.

    Args:
        study: Its name.
        name: Of the new space.

    Raises:
        InvalidInput: There is no such study, or no database to find it in.
        SpaceInvalid: It has too few trials, or what is left of its space is none.
    """
    url = store_url()
    address = address_of(embedded() if url is None else url)
    if address.path is not None and not address.path.is_file():
        raise InvalidInput(f"there is no study {study!r}: nothing was searched in {address.name}")
    store = open_store(url)
    try:
        found = find_study(store, study)
        charter = spec_from_facts(found.name, found.facts)
        trials = store.storage.get_all_trials(found.id, deepcopy=False)
    finally:
        store.close()
    narrower = shrink(charter.space, ended_trials(charter.space, trials), name)
    for problem in check_space(narrower).problems:
        raise SpaceInvalid(f"what is left of space {charter.space.name} is none: {problem}")
    return narrower
