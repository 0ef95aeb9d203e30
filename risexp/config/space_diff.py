"""What differs between two search spaces; nothing means that one is a copy of the other."""

from risexp.config.space import SearchSpace


def diff_spaces(one: SearchSpace, two: SearchSpace) -> list[tuple[str, str, str]]:
    """What differs, as it stands in the first and in the second; `-` where it does not stand."""
    left, right = _parts(one), _parts(two)
    keys = [*left, *(key for key in right if key not in left)]
    rows = [(key, left.get(key, "-"), right.get(key, "-")) for key in keys]
    return [row for row in rows if row[1] != row[2]]


def _parts(space: SearchSpace) -> dict[str, str]:
    """Every part of a space that decides what it searches, its name and description left out."""
    parts = {"base": space.base or "default", "trials": str(space.trials)}
    parts |= {f"fixed {path}": str(value) for path, value in sorted(space.fixed.items())}
    for path, dimension in sorted(space.vary.items()):
        said = dimension.model_dump(mode="json", exclude_defaults=True)
        parts[f"vary {path}"] = ", ".join(f"{name} {value}" for name, value in said.items())
    parts |= {f"forbid {sorted(each.items())}": "yes" for each in space.forbid}
    return parts
