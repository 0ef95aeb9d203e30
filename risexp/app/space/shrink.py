"""Narrows the space of a finished study."""

from risexp.errors import InvalidInput, SpaceInvalid
from risexp.hpo.store.address import address_of, embedded, store_url
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study
from risexp.hpo.studies.table import study_table
from risexp.space.check import check_space
from risexp.space.shrink import Ended, shrink
from risexp.space.spec import SearchSpace


def shrunk(study: str, name: str) -> SearchSpace:
    """Make a space around the best trials of a study."""
    url = store_url()
    address = address_of(embedded() if url is None else url)
    if address.path is not None and not address.path.is_file():
        raise InvalidInput(f"there is no study {study!r}: nothing was searched in {address.name}")
    store = open_store(url)
    try:
        ref = find_study(store, study)
        space = ref.spec.space
        rows = study_table(store, ref).trials
    finally:
        store.close()
    ended = [Ended(row.values, row.value) for row in rows if row.state in {"complete", "pruned"}]
    narrower = shrink(space, ended, name)
    for problem in check_space(narrower).problems:
        raise SpaceInvalid(f"the rest of space {space.name} is not valid: {problem}")
    return narrower
