"""Text for a terminal: values of users and files cannot command it, and do not fill it."""

from typing import Final

_LINES: Final = "\n\t"


def printable(text: str) -> str:
    """The text with control characters, invisible ones and surrogates escaped; lines stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _LINES else ascii(each)[1:-1] for each in text
    )


def shortened(text: str, longest: int) -> str:
    """The text; if it is longer, its beginning and its end."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 3]}...{text[-end:]}"
