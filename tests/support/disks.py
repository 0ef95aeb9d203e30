"""A disk of a test's own, which can be filled."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirements import require


@dataclass(frozen=True)
class Disk:
    """A file system in memory."""

    folder: Path

    @contextmanager
    def full(self) -> Iterator[None]:
        """No room is left for a byte."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                _write_until_full(file.fileno(), size)
        yield
        filler.unlink()


def _write_until_full(descriptor: int, size: int) -> None:
    while True:
        try:
            os.write(descriptor, bytes(size))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return


@contextmanager
def own_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of this size at a folder; the test is skipped where none can be mounted."""
    may = os.geteuid() == 0 and shutil.which("mount") is not None
    require(may, "only root can mount a disk: run as root")
    folder.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    require(mounted, "this machine lets even root mount nothing: run outside of the container")
    try:
        yield Disk(folder)
    finally:
        while run("umount", "--lazy", str(folder)):
            pass


def run(*command: str) -> bool:
    """Whether a program of the system succeeds."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
