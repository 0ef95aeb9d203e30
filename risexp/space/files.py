"""Where search spaces are found: a path, the home's `search_spaces/`, or those that ship."""

from pathlib import Path

from pydantic import ValidationError

from risexp.config.named_files import first_comment, path_named, yaml_paths
from risexp.config.words import nearest, one_sentence
from risexp.config.yaml import read_yaml
from risexp.errors import SpaceInvalid
from risexp.space.spec import SearchSpace

FOLDER = "search_spaces"


def space_paths() -> dict[str, Path]:
    """Every space that can be called by name; one in the home hides a shipped one."""
    return yaml_paths(FOLDER)


def load_space(name: str) -> SearchSpace:
    """Read a space by name or by path.

    Raises:
        ConfigInvalid: The file is no strict YAML.
        SpaceInvalid: There is no such space, or its file is not one.
    """
    path = path_named(name, FOLDER)
    if path is None:
        known = ", ".join(space_paths()) or "none"
        hint = nearest(name, space_paths()) or f"; there are: {known}"
        raise SpaceInvalid(f"there is no search space {name!r}{hint}")
    tree = read_yaml(path)
    if clash := tree.keys() & {"name", "about"}:
        raise SpaceInvalid(f"{path}: {min(clash)} comes from the file's name and first comment")
    try:
        return SearchSpace.model_validate({"name": path.stem, "about": first_comment(path), **tree})
    except ValidationError as error:
        raise SpaceInvalid(f"{path}: {one_sentence(error)}") from None
