"""`risexp hpo`: search a space."""

from typing import Annotated

import typer

from risexp.cli.options import complete_space
from risexp.config.space_files import load_space
from risexp.errors import NotBuilt


def search(
    space: Annotated[
        str,
        typer.Option(metavar="SPACE", autocompletion=complete_space, help="The space to search."),
    ],
) -> None:
    """Search a space of configurations (not built yet)."""
    name = load_space(space).name
    raise NotBuilt(f"the search over {name!r} is not built yet: `risexp space show {name}` works")
