"""A folder from which `docker compose` runs it all: written as a whole, or not at all."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from risexp import __version__
from risexp.app.deploy.passwords import secret_files
from risexp.app.deploy.wheel import CONSTRAINTS, shipped, wheel_name, write_wheel
from risexp.app.ui.host_names import host_name
from risexp.core.durable import PARTIAL, sync
from risexp.errors import EnvironmentFailed, InvalidInput

UNPRIVILEGED: Final = 10001
"""Whom the services run as where root writes the folder."""
DATA: Final = ("data/artifacts", "data/home", "data/postgres")
_COPIES: Final = {
    "docker/compose.yaml": "compose.yaml",
    "docker/compose.cuda.yaml": "compose.cuda.yaml",
    "docker/postgres.sh": "postgres.sh",
    "docker/Dockerfile": "image/Dockerfile",
    "docker/dockerignore": "image/.dockerignore",
    CONSTRAINTS: "image/constraints.txt",
}


@dataclass(frozen=True)
class Deployment:
    """A folder that has been written."""

    folder: Path
    user: str
    """Numbers of the user and group that the services run as."""
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]
    """Names of the files."""

    def next(self) -> tuple[str, ...]:
        """The commands that come next."""
        return (
            f"cd {shlex.quote(str(self.folder))}",
            "docker compose build",
            "docker compose up --detach",
            "docker compose --profile search up --detach --scale worker=2",
        )

    def as_json(self) -> dict[str, Any]:
        """As plain values, without a secret."""
        return {
            "folder": str(self.folder),
            "user": self.user,
            "hosts": [*self.hosts],
            "secrets": [*self.secrets],
            "next": [*self.next()],
        }


def write_deployment(folder: Path, hosts: Sequence[str]) -> Deployment:
    """Write all that a deployment needs, with secrets of its own.

    Args:
        folder: A new or empty one.
        hosts: Names under which browsers reach the pages, besides this machine's own.

    Raises:
        InvalidInput: There is something in the folder, or a name is none.
        EnvironmentFailed: The disk is full or forbidden; nothing is left of it.
    """
    names = tuple(dict.fromkeys(host_name(name, "--hosts") for name in hosts))
    folder = folder.absolute()
    _expect_empty(folder)
    owner, group = _services()
    secrets = secret_files()
    texts = {".env": _settings(f"{owner}:{group}", names), "passwd": _passwd(owner, group)}
    try:
        partial = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PARTIAL, dir=folder.parent)
        )
        try:
            _fill(partial, texts, secrets)
            _hand_over(partial, owner, group)
            partial.chmod(0o755)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial)
            raise
        sync(folder.parent)
    except OSError as error:
        raise EnvironmentFailed(
            f"cannot write {folder}: {error.filename or folder}: {error.strerror}"
        ) from None
    return Deployment(folder, f"{owner}:{group}", names, tuple(sorted(secrets)))


def _expect_empty(folder: Path) -> None:
    try:
        taken = folder.is_symlink() or (folder.exists() and any(folder.iterdir()))
        here = folder.exists() and folder.samefile(Path.cwd())
        parent = folder.parent.is_dir()
    except OSError as error:
        raise InvalidInput(f"{folder} is no folder to write to: {error.strerror}") from None
    if taken:
        raise InvalidInput(
            f"{folder} is not empty, and nothing in it is overwritten: name a new folder"
        )
    if here:
        raise InvalidInput(
            f"{folder} is where the command is given, and another folder takes its place: give the "
            "command one level above, with the folder's name"
        )
    if not parent:
        raise InvalidInput(f"{folder.parent} is no folder: make it first, or name another one")


def _services() -> tuple[int, int]:
    """User and group of the services: whoever writes the folder, but never root."""
    owner, group = os.geteuid(), os.getegid()
    return (UNPRIVILEGED, UNPRIVILEGED) if owner == 0 else (owner, group)


def _fill(folder: Path, texts: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    (folder / "image").mkdir()
    (folder / "image").chmod(0o755)  # whatever the umask
    (folder / "secrets").mkdir(mode=0o700)
    for name in ("data", *DATA):
        (folder / name).mkdir(mode=0o700)
    for source, name in _COPIES.items():
        _write(folder / name, shipped(source).read_bytes(), 0o644)
    for name, text in texts.items():
        _write(folder / name, text.encode(), 0o644)
    for name, text in secrets.items():
        _write(folder / "secrets" / name, text.encode(), 0o600)
    wheel = folder / "image" / wheel_name()
    write_wheel(wheel)
    wheel.chmod(0o644)
    for path in (folder / "secrets", folder / "image", folder):
        sync(path)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _hand_over(folder: Path, owner: int, group: int) -> None:
    """Give secrets and data to whom the services run as, where that is somebody else."""
    if os.geteuid() == owner:
        return
    for name in ("secrets", "data"):
        for path in (folder / name, *(folder / name).rglob("*")):
            os.chown(path, owner, group)


def _passwd(owner: int, group: int) -> str:
    return f"postgres:x:{owner}:{group}::/tmp:/bin/sh\n"


def _settings(user: str, hosts: Sequence[str]) -> str:
    return f"""\
# What `docker compose` fills in. There is no secret here: those are in secrets/.
RISEXP_USER={user}
RISEXP_IMAGE=risexp:{__version__}
RISEXP_HOSTS={" ".join(hosts)}

# Images that others make: pin them by their digests, NAME@sha256:... (docs/deploying.md).
BASE_IMAGE=python:3.11-slim-bookworm
POSTGRES_IMAGE=postgres:15-bookworm

# Addresses of package indexes, pip's own where they are empty; passwords go into secrets/netrc.
PIP_INDEX=
TORCH_INDEX=

# Where the pages are, on this machine alone.
MLFLOW_PORT=5000
DASHBOARD_PORT=8080

# What is searched, and what each worker may take.
RISEXP_SPACE=smoke
RISEXP_STUDY=smoke
WORKER_CPUS=2
WORKER_MEMORY=8g
"""
