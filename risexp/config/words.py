"""What is said when a configuration is wrong: one sentence, with the nearest right name."""

import difflib
from collections.abc import Iterable, Mapping

from pydantic import ValidationError


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for a name that is close to a known one, else nothing."""
    candidates = list(known)
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not close:
        last = name.rsplit(".", 1)[-1]
        by_last = {path.rsplit(".", 1)[-1]: path for path in candidates}
        close = [by_last[key] for key in difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)]
    return f"; did you mean {close[0]}?" if close else ""


def one_sentence(error: ValidationError, origins: Mapping[str, str] | None = None) -> str:
    """The first fault of a validation as `path = value (origin): what is wrong`."""
    first, *rest = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "missing":
        said = f"{path} is missing"
    elif isinstance(first["input"], dict) or not path:
        said = f"{path}: {message}" if path else message
    else:
        said = f"{path} = {first['input']!r}{_origin(path, origins)}: {message}"
    return said + (f" (and {len(rest)} more)" if rest else "")


def _origin(path: str, origins: Mapping[str, str] | None) -> str:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        origin = (origins or {}).get(".".join(parts[:end]))
        if origin:
            return f" (from {origin})"
    return ""
