"""The options that several commands share, and what they resolve to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from risexp.config.layers import Loaded, load_config, preset_names
from risexp.config.space_files import space_paths


def _complete_preset() -> list[str]:
    return list(preset_names())


def _complete_space() -> list[str]:
    return list(space_paths())


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", "-p", autocompletion=_complete_preset, help="A shipped configuration by name."
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--config", "-c", help="A YAML file over the preset; may be given again."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="One field: section.field=value; may be given again."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")
]
SpaceName = Annotated[
    str,
    typer.Argument(autocompletion=_complete_space, help="A space by name, or a path to its file."),
]
SpaceNames = Annotated[
    list[str] | None,
    typer.Argument(autocompletion=_complete_space, help="Spaces by name or path; all by default."),
]


def resolved(preset: str | None, files: list[Path] | None, overrides: list[str] | None) -> Loaded:
    """The configuration that preset, files, environment and `--set` add up to."""
    return load_config(
        preset=preset, paths=files or (), environment=os.environ, overrides=overrides or ()
    )
