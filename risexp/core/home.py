"""The home: the folder of stores, runs and spaces."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from risexp.core.durable import write_new
from risexp.core.spare import exists_either, mend, read_either
from risexp.errors import EnvironmentFailed, InvalidInput


def home() -> Path:
    """Where stores and spaces live: RISEXP_HOME, or the current directory."""
    return Path(os.environ.get("RISEXP_HOME") or ".")


def home_id() -> str:
    """The identity of this home, which is the same under any path; made once."""
    path = home().absolute() / "mlruns" / "home.json"
    if not exists_either(path):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None
        with suppress(InvalidInput):  # another process was faster
            write_new(path, json.dumps({"id": secrets.token_hex(16)}).encode())
            mend(path)
    try:
        return str(json.loads(read_either(path))["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFailed(f"cannot read {path}, which names this home: {error}") from None


def known_home_id() -> str | None:
    """The identity of this home; None if it has none, e.g. because its folder is not mounted."""
    path = home().absolute() / "mlruns" / "home.json"
    return home_id() if exists_either(path) else None
