"""`risexp store` and `risexp sync`: creates the stores of runs and studies."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import answer, emit, say, table
from risexp.errors import EnvironmentFailed

if TYPE_CHECKING:
    from risexp.app.run.sync import Synced

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
            {"store": store.name, "created": made.created, "experiment_id": made.experiment_id}
            | {"studies": made.studies}
            | {name: None if path is None else str(path) for name, path in places.items()}
        )
        return
    where = store.name if store.database is None else str(store.database)
    say(f"runs: {where} {'is ready' if made.created else 'was ready already'}")
    say(f"studies: {made.studies} is ready")


Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Runs by name or path; none: all with unsent data."),
]


Again = Annotated[
    bool,
    typer.Option("--again", help="Send all that was sent before once more: the store has lost it."),
]


def sync(
    runs: Runs = None, tracking: TrackingTo = None, again: Again = False, json: AsJson = False
) -> None:
    """Send what is in run folders and not yet in their stores: each value once, in order.

    A run whose training was killed is marked interrupted. Calling it again sends nothing twice, and
    a store that was lost is rebuilt whole by --again.
    """
    from risexp.app.run.sync import sync as send

    results = send(runs or (), tracking, again=again)
    document = [result.as_json() for result in results]
    answer(lambda: document, lambda: _say(results), json=json)
    failed = [result for result in results if result.state == "failed"]
    if failed:
        rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise EnvironmentFailed(f"run {failed[0].run} was not sent: {failed[0].sentence}{rest}")


def _say(results: "list[Synced]") -> None:
    if not results:
        say("every record is where it belongs")
        return
    rows = [(one.run, one.state, one.lines, one.values, one.store) for one in results]
    table(["run", "state", "lines", "values", "store"], rows)
    for one in results:
        if one.state in ("busy", "elsewhere"):
            say(one.sentence)
