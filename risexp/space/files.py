"""Search spaces as files: found by name, read, written and compared."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from risexp.config.section import Section, nearest, one_sentence
from risexp.config.yaml import first_comment, path_named, read_yaml, yaml_paths
from risexp.errors import SpaceInvalid
from risexp.space.spec import SearchSpace

FOLDER = "search_spaces"
_BARE: Final = re.compile(r"[a-z][a-z0-9_.-]*")
_RESERVED: Final = {"null", "true", "false"}


def space_paths() -> dict[str, Path]:
    """Every named space; one in the home hides a shipped one."""
    return yaml_paths(FOLDER)


def load_space(name: str) -> SearchSpace:
    """Read a space by name or by path."""
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


def space_text(space: SearchSpace) -> str:
    """A space as YAML; its name becomes the file's name."""
    return "\n".join(_lines(space)) + "\n"


def _lines(space: SearchSpace) -> Iterator[str]:
    if space.about:
        yield f"# {space.name}: {space.about}"
    if space.base is not None:
        yield f"base: {_flow(space.base)}"
    yield f"trials: {space.trials}"
    yield from _block("fixed", [f"{path}: {_flow(value)}" for path, value in space.fixed.items()])
    yield from _block("start", [f"{path}: {_flow(value)}" for path, value in space.start.items()])
    yield from _block("vary", _dimensions(space.vary))
    stages = [_block(_flow(stage), _dimensions(vary)) for stage, vary in space.stages.items()]
    yield from _block("stages", [line for stage in stages for line in stage])
    if space.stages:
        yield f"keep: {_flow(space.keep.model_dump())}"
    yield from _block("forbid", [f"- {_flow(combination)}" for combination in space.forbid])
    yield f"sampler: {_flow(_changed_fields(space.sampler))}"
    yield f"pruner: {_flow(_changed_fields(space.pruner))}"


def _block(name: str, lines: Sequence[str]) -> list[str]:
    """Indented lines under a name; empty if there are none."""
    return [f"{name}:", *(f"  {line}" for line in lines)] if lines else []


def _dimensions(vary: Mapping[str, Section]) -> list[str]:
    return [f"{path}: {_flow(_changed_fields(dimension))}" for path, dimension in vary.items()]


def _changed_fields(section: Section) -> dict[str, Any]:
    """The kind of a section, then its fields that differ from their defaults."""
    kind = section.model_dump(mode="json", include={"kind"})
    changed = section.model_dump(mode="json", exclude_defaults=True)
    inner = {name: _changed_fields(value) for name, value in section if isinstance(value, Section)}
    return kind | changed | inner


def _flow(value: object) -> str:
    match value:
        case dict():
            pairs = (f"{_flow(key)}: {_flow(inner)}" for key, inner in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str() if _BARE.fullmatch(value) and value not in _RESERVED:
            return value
        case _:
            return json.dumps(value)


def diff_spaces(one: SearchSpace, two: SearchSpace) -> list[tuple[str, str, str]]:
    """Part, value in the first space and value in the second of every difference."""
    return differing(parts(one), parts(two))


def differing(left: Mapping[str, str], right: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The keys with different values, and both values; `-` for a missing one."""
    keys = [*left, *(key for key in right if key not in left)]
    rows = [(key, left.get(key, "-"), right.get(key, "-")) for key in keys]
    return [row for row in rows if row[1] != row[2]]


def parts(space: SearchSpace) -> dict[str, str]:
    """The parts of a space that decide what it searches: all but name and description."""
    values = {"base": space.base or "default", "trials": str(space.trials)}
    values |= {f"fixed {path}": str(value) for path, value in sorted(space.fixed.items())}
    values |= {f"start {path}": str(value) for path, value in sorted(space.start.items())}
    values |= {f"vary {path}": _words(section) for path, section in sorted(space.vary.items())}
    for stage, vary in space.stages.items():
        values |= {
            f"stage {stage}: {path}": _words(section) for path, section in sorted(vary.items())
        }
    if space.stages:
        values |= {f"keep {name}": str(loss) for name, loss in space.keep.model_dump().items()}
    values |= {f"forbid {sorted(combination.items())}": "yes" for combination in space.forbid}
    return values | {"sampler": _words(space.sampler), "pruner": _words(space.pruner)}


def _words(section: Section) -> str:
    """The kind of a section and its changed fields, in words."""
    changed = section.model_dump(mode="json", exclude_defaults=True)
    kind = section.model_dump(mode="json", include={"kind"})
    return ", ".join(f"{name} {value}" for name, value in (kind | changed).items())
