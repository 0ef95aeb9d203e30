"""Confines a process as root, without a container engine.

It runs as another user without capabilities, and can write only its own folders.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_ALONE: Final = """
user=$1 group=$2 temporary=$3 stash=$4 interpreter=$5 hidden=$6; shift 6
mount --bind "$interpreter" "$stash"
while [ "$1" != -- ]; do mount --bind "${1%%=*}" "${1#*=}"; shift; done; shift
if [ -n "$hidden" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$hidden"; mkdir -p "$interpreter"
    mount --bind "$stash" "$interpreter"
fi
mount --bind "$temporary" /tmp
mount -o remount,bind,ro /
exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all -- "$@"
"""
_POSTGRES: Final = Path("/usr/lib/postgresql")


def confined(
    command: Sequence[str], user: str, temporary: Path, stash: Path, mounts: Iterable[str]
) -> list[str]:
    """Wrap a command so that it runs confined.

    Args:
        command: The command.
        user: Numbers of its user and group, with a colon between.
        temporary: Its /tmp.
        stash: A folder to mount the interpreter at, if only root can reach it.
        mounts: Writable folders, SOURCE=TARGET.
    """
    stash.mkdir(exist_ok=True)
    interpreter = Path(sys.base_prefix)
    words = [*user.split(":"), temporary, stash, interpreter, _hidden(interpreter)]
    unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _ALONE, "sh"]
    return [*unshared, *map(str, words), *mounts, "--", *command]


def why_not() -> str | None:
    """The reason why this machine cannot rehearse a deployment; None if it can."""
    if not postgres_programs().is_dir():
        return "there is no PostgreSQL server: apt-get install postgresql"
    command = ["unshare", "--mount", "--propagation", "private", "true"]
    if os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603 - a constant
        return "root may not mount here, and PostgreSQL does not run as root: be another user"
    return None


def _hidden(interpreter: Path) -> str:
    """A parent of the interpreter that only its owner can enter; empty if there is none."""
    above = [parent for parent in interpreter.parents if not parent.stat().st_mode & 0o001]
    return str(above[-1]) if above else ""


def postgres_programs() -> Path:
    """Folder of PostgreSQL's programs."""
    installed = sorted(_POSTGRES.glob("*/bin"))
    place = shutil.which("initdb")
    return installed[-1] if place is None and installed else Path(place or _POSTGRES).parent
