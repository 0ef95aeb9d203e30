"""The home: the folder of stores, runs and spaces."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from risexp.core.durable import write_new
from risexp.errors import EnvironmentFailed, InvalidInput


def home() -> Path:
    """Where stores and spaces live: RISEXP_HOME, or the current directory."""
    return Path(os.environ.get("RISEXP_HOME") or ".")


def home_id() -> str:
    """The identity of this home, which is the same under any path; made once."""
    path = home().absolute() / "mlruns" / "home.json"
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None
        with suppress(InvalidInput):  # another process was faster
            write_new(path, json.dumps({"id": secrets.token_hex(16)}).encode())
    try:
        return str(json.loads(path.read_bytes())["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFailed(f"cannot read {path}, which names this home: {error}") from None
