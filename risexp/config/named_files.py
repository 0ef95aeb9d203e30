"""YAML files by name: those of the home first, then those that ship with the package."""

from importlib.resources import files
from pathlib import Path

from risexp.core.home import home


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
