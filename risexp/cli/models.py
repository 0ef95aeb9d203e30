"""`risexp models`: registered models and their versions."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, note, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from risexp.app.promotion.models import Model
    from risexp.registry.model_registry import Version

app = typer.Typer(no_args_is_help=True, help="List registered models, and show their versions.")
Address = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/3 for one version.")
]
_SHOWN = ("risexp.run", "risexp.success_rate", "risexp.k_acc", "risexp.promoted_by")


@app.command("list")
def list_(tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Every model with its versions, the newest first."""
    from risexp.app.promotion.models import list_models

    models = list_models(tracking)
    if json:
        emit([model.as_json() for model in models])
    elif models:
        _table(models)
    else:
        say("there are no models: `risexp promote` makes one")


@app.command()
def show(model: Address, tracking: TrackingTo = None, json: AsJson = False) -> None:
    """The versions of a model; or the card and the tags of one version."""
    from risexp.app.promotion.models import Model, show_model, version_json

    shown = show_model(model, tracking)
    if json:
        emit(shown.as_json() if isinstance(shown, Model) else version_json(shown))
    elif isinstance(shown, Model):
        _table([shown])
    else:
        say(f"{shown.address} ({shown.state or 'no alias'})\n\n{shown.card}\n")
        table(["tag", "value"], sorted(shown.tags.items()))


def _table(models: "Sequence[Model]") -> None:
    rows = [_row(version) for model in models for version in model.versions]
    headings = ["model", "version", "state", "created (UTC)", "run", "success", "K accuracy", "by"]
    table(headings, rows)
    for model in models:
        for number in model.abandoned:
            note(
                f"version {number} of {model.name} was left pending by an interrupted promotion; "
                "nothing loads it, and the next promotion deletes it"
            )


def _row(version: "Version") -> list[str]:
    from risexp.app.promotion.models import created

    tags = (version.tags.get(key, "") for key in _SHOWN)
    return [version.name, str(version.number), version.state, created(version), *tags]
