"""Small files with a spare copy, so that damage to one of the two costs nothing.

The spare copy of `folder/name` is `folder/spares/name`: a line with two SHA-256 sums, of the
content and of the content that it replaces, and the content. It is written first. Readers change
nothing: only the process that owns the folder mends a file.
"""

import hashlib
from pathlib import Path
from typing import Final

from risexp.core.durable import set_aside, write_durably

SPARES: Final = "spares"
"""Folder of the spare copies, beside the files."""
_NONE: Final = "-"


def write_twice(path: Path, content: bytes) -> None:
    """Write a file and its spare copy; a crash leaves the old content or the new one."""
    spare = spare_of(path)
    spare.parent.mkdir(mode=0o700, exist_ok=True)
    own = _content(path)
    before = _NONE if own is None else _sha(own)
    write_durably(spare, f"{_sha(content)} {before}\n".encode() + content)
    write_durably(path, content)


def read_either(path: Path) -> bytes:
    """The content of a file, or of its spare copy where the file is damaged or missing.

    A file without a sound spare copy is read as it is: the reader of its content finds the damage.

    Raises:
        FileNotFoundError: There is neither the file nor a sound spare copy.
    """
    content, spare = _content(path), _spare(path)
    if spare is not None:
        return spare[0]
    if content is None:
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return content


def read_if_there(path: Path) -> bytes | None:
    """The same; None if there is neither."""
    try:
        return read_either(path)
    except FileNotFoundError:
        return None


def exists_either(path: Path) -> bool:
    """True if `read_either` would find content."""
    return path.exists() or _spare(path) is not None


def delete_both(path: Path) -> None:
    """Delete a file and its spare copy, where they exist."""
    spare_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def is_damaged(path: Path) -> bool:
    """True if a file is missing or damaged and its spare copy is read in its place.

    An older content is sound: a crash came between the two writes.
    """
    content, spare = _content(path), _spare(path)
    if spare is None or content == spare[0]:
        return False
    return content is None or _sha(content) != spare[1]


def mend(path: Path) -> bool:
    """Make both copies equal, for the owner of the folder; whether the file was damaged.

    A damaged file is set aside. A file of an earlier version gets its spare copy.
    """
    content, spare, damaged = _content(path), _spare(path), is_damaged(path)
    if damaged and content is not None:
        set_aside(path)
    if spare is not None and content != spare[0]:
        write_durably(path, spare[0])
    elif spare is None and content is not None:
        write_twice(path, content)
    return damaged


def set_both_aside(path: Path) -> None:
    """Set a file aside that is damaged in both copies."""
    spare_of(path).unlink(missing_ok=True)
    if path.exists():
        set_aside(path)


def spare_of(path: Path) -> Path:
    """Where the spare copy of a file lies."""
    return path.parent / SPARES / path.name


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _spare(path: Path) -> tuple[bytes, str] | None:
    """The content of a sound spare copy, and the sum of what it replaces."""
    text = _content(spare_of(path))
    if text is None:
        return None
    head, _, content = text.partition(b"\n")
    sums = head.decode("ascii", errors="replace").split(" ")
    return (content, sums[1]) if len(sums) == 2 and sums[0] == _sha(content) else None


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
