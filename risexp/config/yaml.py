"""YAML 1.2 read strictly: no duplicate keys, no tags, no bombs; `3e-4` a number, `no` a word."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from risexp.errors import ConfigInvalid

MAX_BYTES = 1_000_000
MAX_ALIASES = 16
MAX_DEPTH = 20


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a file holds; an empty file is an empty mapping.

    Raises:
        ConfigInvalid: The file is missing, too large, not YAML 1.2, or no mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigInvalid(f"{path} has more than {MAX_BYTES} bytes: is it a configuration?")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigInvalid(f"cannot read {path}: {reason}") from None
    tree = parse_yaml(text, str(path))
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigInvalid(f"{path} holds no mapping of names to values")
    return tree


def parse_yaml(text: str, source: str) -> Any:  # noqa: ANN401 - YAML holds any scalar or collection
    """The value of one YAML 1.2 document, `source` naming it in errors."""
    try:
        _refuse_bombs(text, source)
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}" if mark is not None else ""
        problem = " ".join((error.problem or "not YAML").split())
        raise ConfigInvalid(f"{source}{place}: {problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise ConfigInvalid(f"{source}: {problem}") from None


def _refuse_bombs(text: str, source: str) -> None:
    """Count before anything is built: aliases of aliases grow exponentially once walked."""
    aliases = depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        aliases += isinstance(event, AliasEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if aliases > MAX_ALIASES:
            raise ConfigInvalid(f"{source} uses more than {MAX_ALIASES} aliases")
        if depth > MAX_DEPTH:
            raise ConfigInvalid(f"{source} nests deeper than {MAX_DEPTH} levels")
