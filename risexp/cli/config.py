"""`risexp config`: show, compare and describe configurations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, resolved, shared
from risexp.cli.output import emit, say, table

if TYPE_CHECKING:
    from risexp.config.layers import Loaded

app = typer.Typer(no_args_is_help=True, help="Show, compare and describe configurations.")


@app.command("show")
@shared(resolved)
def show(
    loaded: "Loaded",
    origin: Annotated[
        bool, typer.Option("--origin", help="Show the origin of every value.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print the resolved configuration."""
    from risexp.config.run import describe

    values = loaded.config.flat()
    if json:
        document: dict[str, object] = {"config": loaded.config.model_dump(mode="json")}
        emit(document | {"config_sha": loaded.config.sha(), "origins": dict(loaded.origins)})
        return
    places = {path: [loaded.origins[path]] if origin else [] for path in values}
    rows = [(path, value, *places[path], describe(path)) for path, value in values.items()]
    table(["field", "value", *(["from"] if origin else []), "meaning"], rows)
    say(f"config {loaded.config.sha()[:12]}")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of a configuration file."""
    from risexp.config.run import RunConfig

    emit(RunConfig.model_json_schema())


@app.command("diff")
def diff(
    one: Annotated[
        str, typer.Argument(metavar="ONE", help="A preset, `default`, or a path to YAML.")
    ],
    two: Annotated[str, typer.Argument(metavar="TWO", help="Likewise.")],
    json: AsJson = False,
) -> None:
    """Print the fields in which two configurations differ."""
    from risexp.config.run import differing_fields

    fields = differing_fields([_named(one).config, _named(two).config])
    rows = [(path, before, after) for path, (before, after) in fields.items()]
    if json:
        emit({path: [before, after] for path, before, after in rows})
    elif rows:
        table(["field", one, two], rows)
    else:
        say(f"{one} and {two} are the same configuration")


def _named(name: str) -> "Loaded":
    from risexp.config.layers import DEFAULT, load_config, preset_names

    if name == DEFAULT:
        return load_config()
    if name in preset_names() or not name.endswith((".yaml", ".yml")):
        return load_config(preset=name)
    return load_config(paths=[Path(name)])
