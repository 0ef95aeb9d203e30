"""Files that are either there as a whole, on the disk itself, or not there at all."""

import os
from pathlib import Path

PARTIAL = ".partial"


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in place in one step; a crash leaves the old one, or none, and a partial one.

    Raises:
        OSError: The disk is full or forbidden; nothing partial is left.
    """
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder as durable as the files they name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> None:
    """Rename a damaged file so that nothing reads it and nobody loses it."""
    target = path.with_name(f"{path.name}.corrupt")
    again = 2
    while target.exists():
        target = path.with_name(f"{path.name}.corrupt-{again}")
        again += 1
    path.rename(target)
