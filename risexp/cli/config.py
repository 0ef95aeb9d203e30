"""`risexp config`: show, compare and describe configurations."""

from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved
from risexp.cli.output import emit, say, table
from risexp.config.layers import DEFAULT, Loaded, load_config, preset_names
from risexp.config.run import RunConfig, describe, differing_fields

app = typer.Typer(no_args_is_help=True, help="Show, compare and describe configurations.")


@app.command("show")
def show(
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Show the origin of every value.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Print the resolved configuration."""
    loaded = resolved(preset, config, set_)
    values = loaded.config.flat()
    if json:
        document: dict[str, object] = {"config": loaded.config.model_dump(mode="json")}
        emit(document | {"config_sha": loaded.config.sha(), "origins": dict(loaded.origins)})
        return
    if origin:
        table(
            ["field", "value", "from", "meaning"],
            [(path, value, loaded.origins[path], describe(path)) for path, value in values.items()],
        )
    else:
        table(["field", "value", "meaning"], [(p, v, describe(p)) for p, v in values.items()])
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
