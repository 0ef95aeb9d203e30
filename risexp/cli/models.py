"""`risexp models`: what the registry holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, note, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from risexp.app.promotion.models import Model
    from risexp.registry.versions import Version

app = typer.Typer(
    no_args_is_help=True, help="Which models there are, and what is said of each version."
)
Address = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/3 for one version.")
]
_SHOWN = ("risexp.run", "risexp.success_rate", "risexp.k_acc", "risexp.promoted_by")


@app.command("list")
def list_(tracking: TrackingTo = None, json: AsJson = False) -> None:
    """Every model with its versions, the newest first."""
    from risexp.app.promotion.models import list_models

    found = list_models(tracking)
    if json:
        emit([each.as_json() for each in found])
        return
    if not found:
        say("there are no models: `risexp promote` makes one")
        return
    _table(found)


@app.command()
def show(model: Address, tracking: TrackingTo = None, json: AsJson = False) -> None:
    """The versions of a model; or the card and the tags of one version."""
    from risexp.app.promotion.models import Model, show_model, version_json

    found = show_model(model, tracking)
    if isinstance(found, Model):
        if json:
            emit(found.as_json())
        else:
            _table([found])
    elif json:
        emit(version_json(found))
    else:
        _card(found)


def _table(models: "Sequence[Model]") -> None:
    rows = [_row(version) for model in models for version in model.versions]
    headings = ["model", "version", "state", "created (UTC)", "run", "success", "K accuracy", "by"]
    table(headings, rows)
    for model in models:
        for number in model.abandoned:
            note(
                f"version {number} of {model.name} was left pending by a promotion that did not "
                "come to its end; nothing loads it, and the next promotion takes it away"
            )


def _row(version: "Version") -> list[str]:
    from risexp.app.promotion.models import created

    told = (version.tags.get(key, "") for key in _SHOWN)
    return [version.name, str(version.number), version.state, created(version), *told]


def _card(version: "Version") -> None:
    state = version.state or "no alias"
    say(f"{version.address} ({state})\n\n{version.card}\n")
    table(["tag", "value"], sorted(version.tags.items()))
