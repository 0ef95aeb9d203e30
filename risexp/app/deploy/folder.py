"""Writes the folder of a deployment for `docker compose`, with secrets: all of it, or nothing."""

import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from risexp import __version__
from risexp.app.deploy.wheel import CONSTRAINTS, shipped, write_wheel
from risexp.app.ui.access import host_name
from risexp.core.durable import PARTIAL, sync
from risexp.errors import EnvironmentFailed, InvalidInput

UNPRIVILEGED: Final = 10001
"""User and group of the services if root writes the folder."""
DATA: Final = ("data/artifacts", "data/home", "data/postgres")
_COPIES: Final = {
    "docker/compose.yaml": "compose.yaml",
    "docker/compose.cuda.yaml": "compose.cuda.yaml",
    "docker/postgres.sh": "postgres.sh",
    "docker/Dockerfile": "image/Dockerfile",
    "docker/dockerignore": "image/.dockerignore",
    CONSTRAINTS: "image/constraints.txt",
}


ROLES: Final = ("studies", "watcher", "mlflow")
"""Roles of PostgreSQL: workers and searches, the dashboard, and MLflow."""
DATABASES: Final = ("studies", "mlflow")
ACCOUNT: Final = "risexp"
"""MLflow's first account, which administers the others."""


@dataclass(frozen=True)
class Deployment:
    """A deployment's folder that was written."""

    folder: Path
    user: str
    """Numbers of the services' user and group."""
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]

    def next(self) -> tuple[str, ...]:
        """Commands to run next."""
        return (
            f"cd {shlex.quote(str(self.folder))}",
            "docker compose build",
            "docker compose up --detach",
            "docker compose --profile search up --detach --scale worker=2",
        )

    def as_json(self) -> dict[str, Any]:
        """The deployment as plain values, without a secret."""
        return {
            "folder": str(self.folder),
            "user": self.user,
            "hosts": [*self.hosts],
            "secrets": [*self.secrets],
            "next": [*self.next()],
        }


def write_deployment(folder: Path, hosts: Sequence[str]) -> Deployment:
    """Write everything that a deployment needs, with new secrets."""
    names = tuple(dict.fromkeys(host_name(name, "--hosts") for name in hosts))
    folder = folder.absolute()
    _expect_empty(folder)
    # The services run as the user who writes the folder, but never as root.
    owner, group = (os.geteuid(), os.getegid()) if os.geteuid() else (UNPRIVILEGED, UNPRIVILEGED)
    passwords = secret_files()
    texts = {
        ".env": _settings(f"{owner}:{group}", names),
        "passwd": f"postgres:x:{owner}:{group}::/tmp:/bin/sh\n",
    }
    try:
        partial = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PARTIAL, dir=folder.parent)
        )
        try:
            _fill(partial, texts, passwords)
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
    return Deployment(folder, f"{owner}:{group}", names, tuple(sorted(passwords)))


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


def _fill(folder: Path, texts: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    (folder / "image").mkdir()
    (folder / "image").chmod(0o755)  # independent of the umask
    (folder / "secrets").mkdir(mode=0o700)
    for name in ("data", *DATA):
        (folder / name).mkdir(mode=0o700)
    for source, name in _COPIES.items():
        _write(folder / name, shipped(source).read_bytes(), 0o644)
    for name, text in texts.items():
        _write(folder / name, text.encode(), 0o644)
    for name, text in passwords.items():
        _write(folder / "secrets" / name, text.encode(), 0o600)
    write_wheel(folder / "image")
    for wheel in (folder / "image").glob("*.whl"):
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
    if os.geteuid() == owner:
        return
    for name in ("secrets", "data"):
        for path in (folder / name, *(folder / name).rglob("*")):
            os.chown(path, owner, group)


def _settings(user: str, hosts: Sequence[str]) -> str:
    return f"""\
# Settings that `docker compose` reads. Secrets are not here, but in secrets/.
RISEXP_USER={user}
RISEXP_IMAGE=risexp:{__version__}
RISEXP_HOSTS={" ".join(hosts)}

# Images of other projects: pin them by their digests, NAME@sha256:... (docs/deploying.md).
BASE_IMAGE=python:3.11-slim-bookworm
POSTGRES_IMAGE=postgres:15-bookworm

# Addresses of package indexes; empty for pip's own. Passwords go into secrets/netrc.
PIP_INDEX=
TORCH_INDEX=

# Ports of the pages, on this machine alone.
MLFLOW_PORT=5000
DASHBOARD_PORT=8080

# Search space, study, and limits of each worker.
RISEXP_SPACE=smoke
RISEXP_STUDY=smoke
WORKER_CPUS=2
WORKER_MEMORY=8g
"""


def secret_files() -> dict[str, str]:
    """Names and contents of the files, with new passwords."""
    passwords = {role: _password() for role in ROLES}
    account = _password()
    return {
        "admin_password": f"{_password()}\n",
        "roles.sql": _roles(passwords),
        "studies_pgpass": f"*:*:studies:studies:{passwords['studies']}\n",
        "watcher_pgpass": f"*:*:studies:watcher:{passwords['watcher']}\n",
        "mlflow_pgpass": f"*:*:mlflow:mlflow:{passwords['mlflow']}\n",
        "mlflow_auth": (
            "[mlflow]\n"
            "default_permission = NO_PERMISSIONS\n"
            "database_uri = postgresql+psycopg://mlflow@postgres:5432/mlflow\n"
            f"admin_username = {ACCOUNT}\n"
            f"admin_password = {account}\n"
            "auth_cache_ttl_seconds = 60\n"
        ),
        "mlflow_key": f"{_password()}\n",
        "mlflow_credentials": (
            f"[mlflow]\nmlflow_tracking_username = {ACCOUNT}\n"
            f"mlflow_tracking_password = {account}\n"
        ),
        "ui_token": f"{_password()}\n",
        "netrc": "",
    }


def _password() -> str:
    # Letters and digits alone: it stands in files of several syntaxes.
    return secrets.token_hex(24)


def _roles(passwords: Mapping[str, str]) -> str:
    """Statements, one a line, that PostgreSQL reads before it listens; it hashes the passwords."""
    lines = [f"CREATE ROLE {role} LOGIN PASSWORD '{text}'" for role, text in passwords.items()]
    for database in DATABASES:
        lines += [
            f"CREATE DATABASE {database} OWNER {database}",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        ]
    lines.append("GRANT CONNECT ON DATABASE studies TO watcher")
    return "".join(f"{line}\n" for line in lines)
