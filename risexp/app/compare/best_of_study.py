"""The runs of a study that are worth being compared: its best trials."""

from risexp.app.search.search import open_studies
from risexp.errors import InvalidInput
from risexp.hpo.store.store import find_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.start_points import best_first
from risexp.hpo.studies.study import find_study, run_id
from risexp.hpo.studies.table import study_table
from risexp.runs.folder import is_run
from risexp.space.confirm import SEED


def best_runs(study: str, top: int) -> list[str]:
    """The runs of the best complete trials of a study that differ in more than their seed.

    Args:
        study: Its name.
        top: How many at most.

    Raises:
        InvalidInput: There is no such study, or it has fewer than two such trials here.
    """
    with open_studies(find_store) as store:
        ref = find_study(store, study)
        table = study_table(store, ref, spec_from_facts(ref.name, ref.facts).space)
    seen, names = list[dict[str, object]](), list[str]()
    for row in best_first(table.trials):
        values = {path: value for path, value in row.values.items() if path != SEED}
        name = run_id(study, row.number)
        if values not in seen and is_run(name):
            seen.append(dict(values))
            names.append(name)
    if len(names) < 2:
        raise InvalidInput(
            f"study {study} has {len(names)} complete trials with runs in this home, and it takes "
            "two to compare: search on, or name the home that has them with RISEXP_HOME"
        )
    return names[:top]
