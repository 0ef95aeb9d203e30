"""`risexp store`: creates the stores of runs and studies."""

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, say

app = typer.Typer(no_args_is_help=True, help="Make the stores of runs and of studies.")


@app.callback()
def _group() -> None:
    """A group, even where it has one command."""


@app.command("init")
def init(tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Make the tables of both stores, before many processes begin; a second call changes nothing.

    The embedded ones are mlruns/mlflow.db for runs, with artifacts beside it, and mlruns/optuna.db
    for studies, both under the home; RISEXP_STORE names another one for studies.
    """
    from risexp.app.run.sync import init_store

    made = init_store(tracking)
    store = made.store
    if json:
        places = {"database": store.database, "artifacts": store.artifacts}
        emit(
            {
                "store": store.name,
                "created": made.created,
                "experiment_id": made.experiment_id,
                "studies": made.studies,
            }
            | {name: None if path is None else str(path) for name, path in places.items()}
        )
        return
    where = store.name if store.database is None else str(store.database)
    say(f"runs: {where} {'is ready' if made.created else 'was ready already'}")
    say(f"studies: {made.studies} is ready")
