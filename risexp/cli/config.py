"""`risexp config`: show, compare and describe configurations."""

from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.options import AsJson, resolved, shared
from risexp.cli.output import emit, say, table
from risexp.config.layers import DEFAULT, Loaded, load_config, preset_names
from risexp.config.run import RunConfig, describe, differing_fields

app = typer.Typer(no_args_is_help=True, help="Show, compare and describe configurations.")


@app.command("show")
@shared(resolved)
def show(
    loaded: Loaded,
    origin: Annotated[
        bool, typer.Option("--origin", help="Show the origin of every value.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print the resolved configuration."""
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
    fields = differing_fields([_named(one).config, _named(two).config])
    rows = [(path, before, after) for path, (before, after) in fields.items()]
    if json:
        emit({path: [before, after] for path, before, after in rows})
    elif rows:
        table(["field", one, two], rows)
    else:
        say(f"{one} and {two} are the same configuration")


def _named(name: str) -> Loaded:
    if name == DEFAULT:
        return load_config()
    if name in preset_names() or not name.endswith((".yaml", ".yml")):
        return load_config(preset=name)
    return load_config(paths=[Path(name)])
