"""A process alone with its folders, as root can make one of this machine's own without an engine.

It is another user, has no capabilities, and can only read the file system, but for its folders.
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
    """The command that runs a command so.

    Args:
        command: What is run.
        user: Numbers of its user and group, with a colon between.
        temporary: What it has for /tmp.
        stash: A folder for what hides the interpreter from others than root.
        mounts: What is mounted where, SOURCE=TARGET; these folders can be written.
    """
    stash.mkdir(exist_ok=True)
    interpreter = Path(sys.base_prefix)
    told = [*user.split(":"), temporary, stash, interpreter, _hidden(interpreter)]
    unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _ALONE, "sh"]
    return [*unshared, *map(str, told), *mounts, "--", *command]


def why_not() -> str | None:
    """Why a deployment cannot be rehearsed on this machine, in a sentence; None where it can."""
    if not postgres_programs().is_dir():
        return "there is no PostgreSQL server: apt-get install postgresql"
    tried = ["unshare", "--mount", "--propagation", "private", "true"]
    if os.geteuid() == 0 and subprocess.run(tried, check=False, capture_output=True).returncode:  # noqa: S603 - a constant
        return "root may not mount here, and PostgreSQL does not run as root: be another user"
    return None


def _hidden(interpreter: Path) -> str:
    """A folder above the interpreter that only its owner may pass; empty where there is none."""
    above = [each for each in interpreter.parents if not each.stat().st_mode & 0o001]
    return str(above[-1]) if above else ""


def postgres_programs() -> Path:
    """Where its programs are, if they are anywhere."""
    found = sorted(_POSTGRES.glob("*/bin"))
    place = shutil.which("initdb")
    return found[-1] if place is None and found else Path(place or _POSTGRES).parent
