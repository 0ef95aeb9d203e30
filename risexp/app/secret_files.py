"""Secrets from the environment, or from files that it names: a file is in no list of processes."""

import os
from pathlib import Path
from typing import Final

from risexp.errors import InvalidInput

_LARGEST: Final = 4096


def secret_of(variable: str) -> str:
    """The value of a variable, or the first line of the file that VARIABLE_FILE names; else empty.

    Raises:
        InvalidInput: Both are there, or the file cannot be read or is empty.
    """
    given, place = os.environ.get(variable, ""), os.environ.get(f"{variable}_FILE", "")
    if given and place:
        raise InvalidInput(f"{variable} and {variable}_FILE are both set: leave one of them out")
    return secret_in(Path(place)) if place else given


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
