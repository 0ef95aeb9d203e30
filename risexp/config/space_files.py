"""Where search spaces are found: a path, the home's `search_spaces/`, or those that ship."""

import os
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from risexp.config.space import SearchSpace
from risexp.config.words import nearest, one_sentence
from risexp.config.yaml import read_yaml
from risexp.errors import SpaceInvalid

FOLDER = "search_spaces"


def home() -> Path:
    """Where stores and spaces live: RISEXP_HOME, or the current directory."""
    return Path(os.environ.get("RISEXP_HOME") or ".")


def space_paths() -> dict[str, Path]:
    """Every space that can be called by name; one in the home hides a shipped one."""
    return yaml_paths(FOLDER)


def yaml_paths(folder: str) -> dict[str, Path]:
    """Every file of a folder by its name; one in the home hides a shipped one."""
    found: dict[str, Path] = {}
    for place in (_shipped(folder), home() / folder):
        if place.is_dir():
            found |= {path.stem: path for path in sorted(place.glob("*.yaml"))}
    return found


def path_named(name: str, folder: str) -> Path | None:
    """The file that a path or a name stands for; None where there is none of that name."""
    looks_like_path = name.endswith((".yaml", ".yml")) or "/" in name
    return Path(name) if looks_like_path else yaml_paths(folder).get(name)


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


def first_comment(path: Path) -> str:
    """A file's first comment, without the file's own name in front."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    if not first.startswith("#"):
        return ""
    return first.lstrip("# ").removeprefix(f"{path.stem}:").strip()


def _shipped(folder: str) -> Path:
    """Inside an installed package, or beside the package in a source tree."""
    package = Path(str(files("risexp")))
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder
