"""Small files with a spare copy, so that damage to one of the two costs nothing.

The spare copy of `folder/name` is `folder/spares/name`: a line with two SHA-256 sums, of the
content and of the content that it replaces, and the content. It is written first.
"""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from risexp.core.durable import set_aside, write_durably

SPARES: Final = "spares"
"""Folder of the spare copies, beside the files."""
_NONE: Final = "-"
_LOG: Final = logging.getLogger(__name__)


def write_twice(path: Path, content: bytes) -> None:
    """Write a file and its spare copy; a crash leaves the old content or the new one."""
    spare = spare_of(path)
    spare.parent.mkdir(mode=0o700, exist_ok=True)
    before = _sha(path.read_bytes()) if path.exists() else _NONE
    write_durably(spare, f"{_sha(content)} {before}\n".encode() + content)
    write_durably(path, content)


def read_either(path: Path) -> bytes:
    """The content of a file; its spare copy mends it where it is damaged or missing.

    A damaged file is set aside, and a warning names it once. A file without a sound spare copy is
    read as it is: the reader of its content finds the damage.

    Raises:
        FileNotFoundError: There is neither the file nor a sound spare copy.
    """
    content, spare = _content(path), _spare(path)
    if spare is None or content == spare[0]:
        if content is None:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return content
    kept, before = spare
    # A folder that cannot be written is read all the same.
    with suppress(OSError):
        # Content that is older than the spare copy is sound: a crash came between the two writes.
        if content is not None and _sha(content) != before:
            set_aside(path)
            _LOG.warning("%s was damaged: it is mended from its spare copy", path)
        write_durably(path, kept)
    return kept


def read_if_there(path: Path) -> bytes | None:
    """The same; None if there is neither."""
    try:
        return read_either(path)
    except FileNotFoundError:
        return None


def exists_either(path: Path) -> bool:
    """True if `read_either` would find content."""
    return path.exists() or _spare(path) is not None


def keep_spare(path: Path) -> None:
    """Make the spare copy of a file that an earlier version wrote without one."""
    content = _content(path)
    if content is not None and not spare_of(path).exists():
        write_twice(path, content)


def set_both_aside(path: Path) -> None:
    """Set a file aside that is damaged in both copies."""
    spare_of(path).unlink(missing_ok=True)
    if path.exists():
        set_aside(path)


def delete_both(path: Path) -> None:
    """Delete a file and its spare copy, where they exist."""
    spare_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


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
