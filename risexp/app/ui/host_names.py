"""Host names as a person gives them: a scheme or a port in one would let nobody in."""

import re
from typing import Final

from risexp.errors import InvalidInput

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9][a-z0-9-]{0,62})*")


def host_name(name: str, option: str) -> str:
    """A name in small letters.

    Args:
        name: What was given.
        option: Where it was given, for the sentence.

    Raises:
        InvalidInput: It is none.
    """
    if _NAME.fullmatch(name.lower()) is None:
        raise InvalidInput(
            f"{option} {name!r} is no host name: give names such as ris.example.org, without "
            "scheme, port or wildcard"
        )
    return name.lower()


def expect_host(host: str) -> None:
    """See that there is somewhere to listen.

    Raises:
        InvalidInput: The host is empty, which would be every address of the machine.
    """
    if not host.strip():
        raise InvalidInput("--host is empty: give 127.0.0.1, or 0.0.0.0 for every address")
