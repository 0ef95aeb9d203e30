"""Secrets from the environment, or from files that it names: a file is in no list of processes."""

import os
import re
import secrets
from pathlib import Path
from typing import Final

from risexp.errors import InvalidInput
from risexp.web.guard import is_loopback

_LARGEST: Final = 4096
_SHORTEST_TOKEN: Final = 16
_HEADER: Final = re.compile(r"[!-~]*")


def secret_of(variable: str) -> str:
    """The value of a variable, or the first line of the file that VARIABLE_FILE names; else empty.

    Raises:
        InvalidInput: Both are there, or the file cannot be read or is empty.
    """
    given, place = os.environ.get(variable, ""), os.environ.get(f"{variable}_FILE", "")
    if given and place:
        raise InvalidInput(f"{variable} and {variable}_FILE are both set: leave one of them out")
    return secret_in(Path(place)) if place else given


def token_of(variable: str) -> str:
    """A secret that goes into headers and addresses, found as by `secret_of`; else empty.

    Raises:
        InvalidInput: As there, or it has a character that a header cannot hold.
    """
    found = secret_of(variable).strip()
    if _HEADER.fullmatch(found) is None:
        raise InvalidInput(
            f"{variable} has a blank or a character that no header can hold: give letters and "
            "digits, such as those of `openssl rand -hex 16`"
        )
    return found


def secret_in(path: Path) -> str:
    """The secret that is the first line of a file.

    Raises:
        InvalidInput: It cannot be read, or holds none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            found = file.readline(_LARGEST).strip()
    except OSError as error:
        raise InvalidInput(f"the secret in {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"the secret in {path} is no text") from None
    if not found:
        raise InvalidInput(f"{path} holds no secret: its first line is empty")
    return found


def token_at(host: str, variable: str) -> tuple[str, bool]:
    """The token that is needed by those who ask at a host, if any, and whether it was made here.

    Raises:
        InvalidInput: The one that the variable holds is too short, or none.
    """
    given = token_of(variable)
    if given and len(given) < _SHORTEST_TOKEN:
        raise InvalidInput(
            f"{variable} has {len(given)} characters: give at least {_SHORTEST_TOKEN}, such as "
            "those of `openssl rand -hex 16`"
        )
    if given or is_loopback(host):
        return given, False
    return secrets.token_urlsafe(24), True
