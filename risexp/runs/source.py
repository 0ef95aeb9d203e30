"""The code of a run: its git commit and the difference from it, without secrets."""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter

import risexp
from risexp.core.durable import write_durably
from risexp.core.redaction import redacted, secrets_of
from risexp.core.spare import exists_either
from risexp.errors import DataInvalid
from risexp.runs.spec import read_document, validated, write_document, writing

DECISIVE: Final = (
    ":(glob)risexp/**/*.py",
    ":(glob)risexp/**/*.yaml",
    ":(glob)search_spaces/**/*.yaml",
    "pyproject.toml",
    "constraints.txt",
)
"""The files that decide a run; a diff holds no others."""
_LONGEST: Final = 1_000_000
"""Characters of a diff."""
_PATIENCE_S: Final = 10.0
SOURCES: Final = "source.json"
"""The code of each attempt of a run."""


@dataclass(frozen=True)
class Source:
    """The code of one attempt."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    commit: str | None
    """None if the package is not in a git repository."""
    dirty: bool
    """True if a file that decides a run differs from the commit."""
    diff: str | None = None
    """Name of the file with the differences, beside this document."""
    masked: bool = False
    """True if the diff held something that looks like a secret, which was masked."""
    cut: bool = False
    """True if the diff was too long and its end is missing."""

    @staticmethod
    def from_json(document: object, source: Path) -> "Source":
        """Read what `asdict` made; `source` names the file in errors."""
        return validated(_SOURCE, json.dumps(document), source)


_SOURCE: Final = TypeAdapter(Source)


def keep_source(folder: Path, root: Path | None = None) -> None:
    """Record the code under `root` (by default this package's) in a run's folder.

    Attempts with the same code share one entry.
    """
    source, diff = look_at_source(root or Path(risexp.__file__).parents[1])
    before = sources(folder)
    if before and before[-1] == source:
        return
    with writing(folder):
        if source.diff is not None:
            write_durably(folder / source.diff, diff.encode())
        write_document(folder / SOURCES, [asdict(entry) for entry in (*before, source)])


def sources(folder: Path) -> list[Source]:
    """The code of each attempt of a run, the first one first."""
    path = folder / SOURCES
    if not exists_either(path):
        return []
    document: list[Any] = read_document(path, list)
    try:
        return [Source.from_json(entry, path) for entry in document]
    except (ValueError, TypeError):
        raise DataInvalid(f"{path} does not hold what a run writes there") from None


def look_at_source(root: Path) -> tuple[Source, str]:
    """The code under a folder, and its difference from the commit."""
    tracked = _git(root, "ls-files", "--error-unmatch", "risexp/__init__.py")
    commit = _git(root, "rev-parse", "HEAD")
    if tracked is None or commit is None:
        return Source(None, dirty=False), ""
    diff = "".join([_git(root, *_DIFF, "HEAD", "--", *DECISIVE) or "", *_new_files(root)])
    if not diff:
        return Source(commit.strip(), dirty=False), ""
    clean = redacted(diff, secrets_of(os.environ))
    kept = clean if len(clean) <= _LONGEST else clean[:_LONGEST].rpartition("\n")[0] + "\n"
    name = f"source-{hashlib.sha256(kept.encode()).hexdigest()[:12]}.diff"
    return Source(commit.strip(), True, name, masked=clean != diff, cut=kept != clean), kept


_DIFF: Final = ("diff", "--no-color", "--no-ext-diff", "--no-textconv")


def _new_files(root: Path) -> Sequence[str]:
    listed = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *DECISIVE)
    names = [name for name in (listed or "").split("\0") if name]
    return [_git(root, *_DIFF, "--no-index", "--", os.devnull, name) or "" for name in names]


def _git(root: Path, *arguments: str) -> str | None:
    """The output of a git command; None if it fails or git is not installed."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, and names that git itself listed
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            check=False,
            env=environment,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # A diff of unequal files leaves with 1.
    expected = (0, 1) if "--no-index" in arguments else (0,)
    return done.stdout.decode(errors="replace") if done.returncode in expected else None
