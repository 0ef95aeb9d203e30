"""The options that several commands share, and what they resolve to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from risexp.config.layers import Loaded, load_config, preset_names
from risexp.space.files import space_paths


def _complete_preset() -> list[str]:
    return list(preset_names())


def complete_space() -> list[str]:
    """Names of search spaces, for a shell that completes them."""
    return list(space_paths())


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        metavar="NAME",
        autocompletion=_complete_preset,
        help="A shipped configuration.",
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="YAML over the preset; may be given again."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="FIELD=VALUE", help="One field; may be given again."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1; auto takes a GPU where one is.")
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Threads of torch.")]
TrackingTo = Annotated[
    str | None,
    typer.Option(
        "--tracking",
        metavar="URI",
        help="Where runs are recorded: a tracking server or database, embedded, or off; by "
        "default RISEXP_TRACKING_URI, else embedded.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, by its name or by the path of its folder.")
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run, by its name or by the path of its folder; a checkpoint, by any of its files "
        "or by its folder; models:/NAME@ALIAS or models:/NAME/3; or the folder of a model.",
    ),
]
SpaceName = Annotated[
    str,
    typer.Argument(
        metavar="SPACE", autocompletion=complete_space, help="A space, or a path to its file."
    ),
]
OtherSpaceName = Annotated[
    str,
    typer.Argument(
        metavar="OTHER", autocompletion=complete_space, help="The space to compare it with."
    ),
]
SpaceNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SPACE]...", autocompletion=complete_space, help="By name or path; all if none."
    ),
]


def resolved(preset: str | None, files: list[Path] | None, overrides: list[str] | None) -> Loaded:
    """The configuration that preset, files, environment and `--set` add up to."""
    return load_config(
        preset=preset, paths=files or (), environment=os.environ, overrides=overrides or ()
    )
