"""What the system says of processes: parents, threads, open files and memory."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Use:
    """What processes hold at one moment."""

    rss_mb: float
    files: int
    threads: int

    def __add__(self, other: "Use") -> "Use":
        return Use(
            self.rss_mb + other.rss_mb, self.files + other.files, self.threads + other.threads
        )


def use_of(pid: int) -> Use | None:
    """What one process holds; None if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return None
    return Use(pages * _PAGE / 1e6, files, threads) if pages else None


def use_of_tree(pid: int) -> Use | None:
    """What a process and all that it has started hold."""
    total = use_of(pid)
    for child in children(pid):
        part = use_of_tree(child)
        if total is not None and part is not None:
            total += part
    return total


def children(pid: int) -> list[int]:
    """Processes that a process has started, and that have not ended."""
    if not pid:
        return []
    found = list[int]()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = _stat(path)[:2]
            if parent == str(pid) and state not in "ZX":
                found.append(int(path.name))
    return sorted(found)


def is_there(pid: int) -> bool:
    """Whether a process lives."""
    with suppress(OSError):
        return bool(pid) and _stat(Path("/proc", str(pid)))[0] not in "ZX"
    return False


def born(pid: int) -> str:
    """When a process began: with its id it is unique. Empty if it has ended."""
    with suppress(OSError):
        return _stat(Path("/proc", str(pid)))[19]
    return ""


def _stat(path: Path) -> list[str]:
    return (path / "stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
