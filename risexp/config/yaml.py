"""YAML files: their names, and a strict reader of YAML 1.2.

No duplicate keys, no tags, no alias bombs; `3e-4` is a number and `no` a word.
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from risexp.core.home import home
from risexp.core.redaction import redacted
from risexp.errors import ConfigInvalid

MAX_BYTES = 1_000_000
MAX_ALIASES = 16
MAX_DEPTH = 20
MAX_DIGITS = 40
_INTEGER = re.compile(r"[-+]?(0x[0-9a-fA-F]+|0o[0-7]+|[0-9]+)")
_HALF = re.compile("[\ud800-\udfff]")
_GROUPED = re.compile(r"[-+]?[0-9][0-9.eE+-]*(_[0-9.eE+-]*)+")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file; an empty file is an empty mapping."""
    try:
        with path.open("rb") as file:  # which may be a device without an end
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigInvalid(f"{path} has more than {MAX_BYTES} bytes: is it a configuration?")
        text = content.decode("utf-8")
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
    return deepcopy(_parsed(text, source))


@lru_cache(maxsize=128)
def _parsed(text: str, source: str) -> Any:  # noqa: ANN401 - as above
    """A search resolves its preset for each trial, and reading it takes 10 ms."""
    try:
        _refuse(text, source)
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}" if mark is not None else ""
        problem = " ".join((error.problem or "not YAML").split())
        raise ConfigInvalid(f"{source}{place}: {problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise ConfigInvalid(f"{source}: {problem}") from None


def _refuse(text: str, source: str) -> None:
    """Check the events before anything is built, which may be huge or no plain data."""
    _refuse_other_versions(text, source)
    aliases, open_, anchors = 0, list[_Collection](), set[str]()
    for event in YAML(typ="safe", pure=True).parse(text):
        match event:
            case CollectionEndEvent():
                open_.pop()
            case AliasEvent() | ScalarEvent() | CollectionStartEvent():
                aliases += isinstance(event, AliasEvent)
                if not isinstance(event, AliasEvent) and event.anchor is not None:
                    _expect_new(event.anchor, anchors, source)
                is_key = bool(open_) and open_[-1].expects_key()
                _expect_plain_node(event, source, is_key=is_key)
                if isinstance(event, CollectionStartEvent):
                    open_.append(_Collection(isinstance(event, MappingStartEvent)))
        if aliases > MAX_ALIASES:
            raise ConfigInvalid(f"{source} uses more than {MAX_ALIASES} aliases")
        if len(open_) > MAX_DEPTH:
            raise ConfigInvalid(f"{source} nests deeper than {MAX_DEPTH} levels")


def _refuse_other_versions(text: str, source: str) -> None:
    for line in text.lstrip("\ufeff").splitlines():
        if line.startswith("%YAML") and line.split()[1:2] != ["1.2"]:
            version = line.removeprefix("%YAML").strip()
            raise ConfigInvalid(f"{source} asks for YAML {version}: configurations are YAML 1.2")


@dataclass
class _Collection:
    """An open collection; in a mapping every other node is a key."""

    is_mapping: bool
    nodes: int = 0

    def expects_key(self) -> bool:
        """Whether the next node is a key; the node is counted."""
        self.nodes += 1
        return self.is_mapping and self.nodes % 2 == 1


def _expect_new(anchor: str, anchors: set[str], source: str) -> None:
    if anchor in anchors:
        raise ConfigInvalid(f"{source}: the anchor &{anchor} is set twice")
    anchors.add(anchor)


def _expect_plain_node(event: NodeEvent, source: str, *, is_key: bool) -> None:
    """Refuse tags, endless and grouped numbers, keys that are no words, and merge keys."""
    place = f"{source} line {event.start_mark.line + 1}"
    if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
        raise ConfigInvalid(f"{place}: the tag {event.tag} is not allowed: values are plain")
    if isinstance(event, ScalarEvent) and _HALF.search(event.value):
        raise ConfigInvalid(f"{place}: a text holds half a character: write it out, not as \\u")
    if isinstance(event, ScalarEvent) and event.style is None:
        _expect_number_or_word(event.value, place)
    if not is_key:
        return
    if not isinstance(event, ScalarEvent):
        raise ConfigInvalid(f"{place}: a key is one word, not a collection or an alias")
    if event.value == "<<":
        raise ConfigInvalid(f"{place}: merge keys (<<) are not allowed: write the fields out")


def _expect_number_or_word(text: str, place: str) -> None:
    if _GROUPED.fullmatch(text):
        raise ConfigInvalid(f"{place}: {text} is no number in YAML 1.2: leave out the _")
    # Python reads a longer one, and cannot always print it.
    if len(text) > MAX_DIGITS and _INTEGER.fullmatch(text):
        raise ConfigInvalid(f"{place}: a number has {len(text)} digits: at most {MAX_DIGITS}")


def yaml_paths(folder: str) -> dict[str, Path]:
    """Every file of a folder by its name; one in the home hides a shipped one."""
    paths: dict[str, Path] = {}
    for place in (_shipped(folder), home() / folder):
        if place.is_dir():
            paths |= {path.stem: path for path in sorted(place.glob("*.yaml"))}
    return paths


def path_named(name: str, folder: str) -> Path | None:
    """The file of a path or a name; None if there is none of that name."""
    looks_like_path = name.endswith((".yaml", ".yml")) or "/" in name
    return Path(name) if looks_like_path else yaml_paths(folder).get(name)


def first_comment(path: Path) -> str:
    """A file's first comment, without the file's name in front, and without secrets."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    if not first.startswith("#"):
        return ""
    return redacted(first.lstrip("# ").removeprefix(f"{path.stem}:").strip())


def _shipped(folder: str) -> Path:
    """The folder inside an installed package, or beside the package in a source tree."""
    package = Path(str(files("risexp")))
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder
