"""Narrows the space of a finished study."""

from risexp.app.search.studies import open_studies
from risexp.errors import SpaceInvalid
from risexp.hpo.studies.study import find_study
from risexp.hpo.studies.table import study_table
from risexp.space.check import check_space
from risexp.space.shrink import Ended, shrink
from risexp.space.spec import SearchSpace


def shrunk(study: str, name: str) -> SearchSpace:
    """Make a space around the best trials of a study."""
    with open_studies() as store:
        ref = find_study(store, study)
        space = ref.spec.space
        rows = study_table(store, ref).trials
    ended = [Ended(row.values, row.value) for row in rows if row.state in {"complete", "pruned"}]
    narrower = shrink(space, ended, name)
    for problem in check_space(narrower).problems:
        raise SpaceInvalid(f"the rest of space {space.name} is not valid: {problem}")
    return narrower
