"""The fields in which configurations differ, side by side."""

from collections.abc import Sequence

from pydantic import JsonValue

from risexp.config.run import RunConfig


def differing_fields(configs: Sequence[RunConfig]) -> dict[str, tuple[JsonValue, ...]]:
    """The values of every field that is not the same in all, by its path, in their order."""
    flat = [each.flat() for each in configs]
    values = {path: tuple(each[path] for each in flat) for path in (flat[0] if flat else ())}
    return {path: row for path, row in values.items() if any(one != row[0] for one in row)}
