"""What a run's record is to be filed under: its store, its study and trial, what was searched."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.words import one_sentence
from risexp.core.durable import write_durably
from risexp.errors import DataInvalid, EnvironmentFailed

EMBEDDED: Final = "embedded"
"""Name of the store in the home."""
EXPERIMENT: Final = "risexp"
_DOCUMENT: Final = "labels.json"


@dataclass(frozen=True)
class Parent:
    """The run that others are children of: that of a study."""

    name: str
    uid: str
    """Tells it from others of its name, in any home: for instance its name and when it began."""
    began_ms: int
    """UTC, milliseconds since 1970."""


@dataclass(frozen=True)
class Labels:
    """How a run is found among others; written before it begins, by whoever starts it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    store: str = EMBEDDED
    """`embedded`, `off`, or an address without secrets."""
    experiment: str = EXPERIMENT
    preset: str | None = None
    """What the configuration is told as differences from; None: from the defaults."""
    study: str | None = None
    trial: int | None = None
    """The trial's number in the study."""
    parent: Parent | None = None
    searched: Mapping[str, Any] = field(default_factory=dict)
    """Values that the search chose, by field: they are the run's params."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """More tags, by their whole names."""
    note: str = ""
    """Markdown that is shown above the run's own: links, for instance."""


_LABELS: Final = TypeAdapter(Labels)


def write_labels(folder: Path, labels: Labels) -> None:
    """Put labels into a run's folder.

    Raises:
        EnvironmentFailed: The disk is full or forbidden.
    """
    path = folder / _DOCUMENT
    try:
        write_durably(path, json.dumps(asdict(labels), indent=1, allow_nan=False).encode())
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None


def read_labels(folder: Path) -> Labels | None:
    """The labels of a run; None where nobody wrote any.

    Raises:
        DataInvalid: The document was edited.
    """
    path = folder / _DOCUMENT
    if not path.exists():
        return None
    try:
        return _LABELS.validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise DataInvalid(f"{path}: {one_sentence(error)}") from None
