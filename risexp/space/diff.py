"""What differs between two search spaces; nothing means that one is a copy of the other."""

from collections.abc import Mapping

from risexp.config.section import Section
from risexp.space.spec import SearchSpace


def diff_spaces(one: SearchSpace, two: SearchSpace) -> list[tuple[str, str, str]]:
    """What differs, as it stands in the first and in the second; `-` where it does not stand."""
    return differing(parts(one), parts(two))


def differing(left: Mapping[str, str], right: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The keys whose values differ, with both; `-` where one has none."""
    keys = [*left, *(key for key in right if key not in left)]
    rows = [(key, left.get(key, "-"), right.get(key, "-")) for key in keys]
    return [row for row in rows if row[1] != row[2]]


def parts(space: SearchSpace) -> dict[str, str]:
    """Every part of a space that decides what it searches, its name and description left out."""
    found = {"base": space.base or "default", "trials": str(space.trials)}
    found |= {f"fixed {path}": str(value) for path, value in sorted(space.fixed.items())}
    found |= {f"start {path}": str(value) for path, value in sorted(space.start.items())}
    found |= {f"vary {path}": _said(each) for path, each in sorted(space.vary.items())}
    for stage, vary in space.stages.items():
        found |= {f"stage {stage}: {path}": _said(each) for path, each in sorted(vary.items())}
    if space.stages:
        found |= {f"keep {name}": str(lost) for name, lost in space.keep.model_dump().items()}
    found |= {f"forbid {sorted(each.items())}": "yes" for each in space.forbid}
    return found | {"sampler": _said(space.sampler), "pruner": _said(space.pruner)}


def _said(section: Section) -> str:
    """A section's fields in words, kinds first and those left out that are as by default."""
    said = section.model_dump(mode="json", exclude_defaults=True)
    kind = section.model_dump(mode="json", include={"kind"})
    return ", ".join(f"{name} {value}" for name, value in (kind | said).items())
