"""Durable writes: a file is on the disk as a whole, or not there at all."""

import os
import secrets
from pathlib import Path

from risexp.errors import EnvironmentFailed, InvalidInput

PARTIAL = ".partial"


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file in one step; a crash leaves the old file, or none, and a partial one."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def expect_new(path: Path) -> None:
    """Check that a file can be created, before its content is computed."""
    if os.path.lexists(path):
        raise InvalidInput(f"{path} is there already: name a new file")
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"{path}: there is no folder {path.parent}")


def write_new(path: Path, content: bytes) -> None:
    """Create a file in one step; an existing file stays, even if it was created a moment ago."""
    expect_new(path)
    partial = path.with_name(f".risexp-{secrets.token_hex(8)}{PARTIAL}")
    try:
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link does not replace an existing file.
            os.link(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        sync(path.parent)
    except FileExistsError:
        raise InvalidInput(f"{path} is there already: name a new file") from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None


def sync(folder: Path) -> None:
    """Make the names in a folder durable, as its files are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> None:
    """Rename a damaged file: nothing reads it any more, and it is not lost."""
    target = path.with_name(f"{path.name}.corrupt")
    again = 2
    while target.exists():
        target = path.with_name(f"{path.name}.corrupt-{again}")
        again += 1
    path.rename(target)
