"""Host names, tokens and other secrets of a server, from options, environment and files."""

import os
import re
import secrets
from pathlib import Path
from typing import Final

from risexp.errors import InvalidInput
from risexp.web.guard import is_loopback

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9][a-z0-9-]{0,62})*")
_LARGEST: Final = 4096
_SHORTEST_TOKEN: Final = 16
_HEADER: Final = re.compile(r"[!-~]*")


def host_name(name: str, option: str) -> str:
    """A host name in small letters; a scheme or a port in it would let nothing in."""
    if _NAME.fullmatch(name.lower()) is None:
        raise InvalidInput(
            f"{option} {name!r} is no host name: give names such as ris.example.org, without "
            "scheme, port or wildcard"
        )
    return name.lower()


def expect_host(host: str) -> None:
    """Check the host to listen at."""
    if not host.strip():
        raise InvalidInput("--host is empty: give 127.0.0.1, or 0.0.0.0 for every address")


def secret_of(variable: str) -> str:
    """The value of a variable, or the first line of the file that VARIABLE_FILE names; else empty.

    A file is safer than a variable: it is in no list of processes.
    """
    value, file = os.environ.get(variable, ""), os.environ.get(f"{variable}_FILE", "")
    if value and file:
        raise InvalidInput(f"{variable} and {variable}_FILE are both set: leave one of them out")
    return secret_in(Path(file)) if file else value


def secret_in(path: Path) -> str:
    """The first line of a file."""
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.readline(_LARGEST).strip()
    except OSError as error:
        raise InvalidInput(f"the secret in {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"the secret in {path} is no text") from None
    if not secret:
        raise InvalidInput(f"{path} holds no secret: its first line is empty")
    return secret


def token_of(variable: str) -> str:
    """A secret for headers and addresses, from the sources of `secret_of`; else empty."""
    token = secret_of(variable).strip()
    if _HEADER.fullmatch(token) is None:
        raise InvalidInput(
            f"{variable} has a blank or a character that no header can hold: give letters and "
            "digits, such as those of `openssl rand -hex 16`"
        )
    return token


def token_at(host: str, variable: str) -> tuple[str, bool]:
    """The token of a server, and True if it was made here; empty if no token is needed."""
    token = token_of(variable)
    if token and len(token) < _SHORTEST_TOKEN:
        raise InvalidInput(
            f"{variable} has {len(token)} characters: give at least {_SHORTEST_TOKEN}, such as "
            "those of `openssl rand -hex 16`"
        )
    if token or is_loopback(host):
        return token, False
    return secrets.token_urlsafe(24), True
