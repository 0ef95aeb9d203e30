"""A disk of a test's own: it can be filled, made read-only, hidden and closed."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.requirements import require

WITHOUT_RIGHTS: Final = (
    *("setpriv", "--bounding-set", "-dac_override,-dac_read_search"),
    *("--inh-caps", "-dac_override,-dac_read_search"),
)
"""Begins a command that respects the rights of files, though root starts it."""


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

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing can be written under its name; what is open already stays so."""
        folder = str(self.folder)
        assert run("mount", "--bind", folder, folder)
        assert run("mount", "-o", "remount,bind,ro", folder)
        yield
        assert run("umount", "--lazy", folder)

    @contextmanager
    def missing(self) -> Iterator[None]:
        """An empty folder stands where it was, as after a restart without its mount."""
        assert run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(self.folder))
        yield
        assert run("umount", "--lazy", str(self.folder))

    @contextmanager
    def forbidden(self) -> Iterator[None]:
        """Its folder of runs belongs to others."""
        runs = self.folder / "mlruns" / "runs"
        mode = runs.stat().st_mode
        runs.chmod(0)
        yield
        runs.chmod(mode)


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
    require(may and shutil.which("setpriv") is not None, "only root can mount a disk: run as root")
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
