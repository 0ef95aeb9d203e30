"""The border to what is not ours: what fails beyond it becomes a sentence, and is tried again."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from risexp.core.redaction import redacted, secrets_of
from risexp.errors import RisexpError

_LONGEST: Final = 400
"""Characters of a sentence; some servers answer with a page."""

_SILENCE: Final = re.compile(
    r"connection refused|connection reset|timed out|name or service not known|no route to host|"
    r"temporary failure in name resolution|network is unreachable|remote end closed connection",
    re.IGNORECASE,
)
"""How a server that does not answer is told in the middle of much else."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """Something that did not work this time."""

    sentence: str
    """What was said, without secrets, in one line."""
    error: Exception


def attempt(action: Callable[[], Result]) -> Result | Failure:
    """What an action that talks to a store returns, or how it failed."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - the one place: what failed is kept, and sent later
        return Failure(_sentence(error), error)


def _sentence(error: Exception) -> str:
    if isinstance(error, RisexpError):
        return str(error)
    if silence := _SILENCE.search(str(error)):
        return f"the store does not answer ({silence[0].lower()})"
    said = " ".join(redacted(str(error), secrets_of(os.environ)).split())
    cut = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {cut}"
