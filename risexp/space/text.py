"""A space as the file it would be read from."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from risexp.config.section import Section
from risexp.space.spec import SearchSpace

_BARE: Final = re.compile(r"[a-z][a-z0-9_.-]*")
_TAKEN: Final = {"null", "true", "false"}


def space_text(space: SearchSpace) -> str:
    """YAML that reads as the same space, under the name that its file will have."""
    return "\n".join(_lines(space)) + "\n"


def _lines(space: SearchSpace) -> Iterator[str]:
    if space.about:
        yield f"# {space.name}: {space.about}"
    if space.base is not None:
        yield f"base: {_flow(space.base)}"
    yield f"trials: {space.trials}"
    yield from _block("fixed", [f"{path}: {_flow(each)}" for path, each in space.fixed.items()])
    yield from _block("start", [f"{path}: {_flow(each)}" for path, each in space.start.items()])
    yield from _block("vary", _dimensions(space.vary))
    stages = [_block(_flow(stage), _dimensions(vary)) for stage, vary in space.stages.items()]
    yield from _block("stages", [line for stage in stages for line in stage])
    if space.stages:
        yield f"keep: {_flow(space.keep.model_dump())}"
    yield from _block("forbid", [f"- {_flow(each)}" for each in space.forbid])
    yield f"sampler: {_flow(_told(space.sampler))}"
    yield f"pruner: {_flow(_told(space.pruner))}"


def _block(name: str, lines: Sequence[str]) -> list[str]:
    """Lines under a name; nothing where there are none."""
    return [f"{name}:", *(f"  {line}" for line in lines)] if lines else []


def _dimensions(vary: Mapping[str, Section]) -> list[str]:
    return [f"{path}: {_flow(_told(each))}" for path, each in vary.items()]


def _told(section: Section) -> dict[str, Any]:
    """A section's fields, its kind first, without what is as by default."""
    kind = section.model_dump(mode="json", include={"kind"})
    inner = section.model_dump(mode="json", exclude_defaults=True)
    nested = {name: _told(each) for name, each in section if isinstance(each, Section)}
    return kind | inner | nested


def _flow(value: object) -> str:
    match value:
        case dict():
            return (
                "{" + ", ".join(f"{_flow(key)}: {_flow(each)}" for key, each in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str() if _BARE.fullmatch(value) and value not in _TAKEN:
            return value
        case _:
            return json.dumps(value)
