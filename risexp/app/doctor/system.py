"""What the system says of files: what kind of disk they are on, and whether somebody locks them."""

import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mounts")
_LOCKS: Final = Path("/proc/locks")


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system a path is on; empty where the system does not tell."""
    place, depth, kind = path.resolve(), 0, ""
    for line in _lines(mounts):
        _, at, of, *_ = [*line.split(), "", "", ""]
        mounted = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), at))
        # Of mounts at one place the last one is seen.
        if place.is_relative_to(mounted) and len(mounted.parts) >= depth:
            depth, kind = len(mounted.parts), of
    return kind


def is_locked(path: Path, locks: Path = _LOCKS) -> bool:
    """Whether a process of this machine holds the lock of a file, as far as the system tells.

    It is not tried: that could keep out somebody who is about to take it.
    """
    try:
        number = str(path.stat().st_ino)
    except OSError:
        return False
    # Not the device: some file systems show another one there.
    places = (word for line in _lines(locks) for word in line.split() if word.count(":") == 2)
    return any(place.rsplit(":", 1)[1] == number for place in places)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
