"""Removes secrets from addresses, diffs, messages and other recorded text."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MASK: Final = "***"

_HARMLESS: Final = frozenset({"host", "port", "sslmode", "charset"})
"""Options of an address that are kept; any other may hold a secret."""
_SHORTEST: Final = 6
"""Shortest value of an environment variable that is masked."""
_SECRET_NAME: Final = re.compile(
    r"PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|_KEY$|_PW$",
    re.IGNORECASE,
)
_USER_INFO: Final = re.compile(r"(?<=://)[^\s/@'\"]+@")
_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_ASSIGNED: Final = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|secret|token|credentials?|api_?key|access_?key|private_?key)"
    r"[\w-]*[\"']?\s*[:=]\s*)([\"'])(?:(?!\2)[^\n]){4,}\2"
)
_BARE: Final = re.compile(
    r"(?im)^([+\- ]?\s*[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credentials?|api_?key|"
    r"access_?key|private_?key)[\w-]*\s*[:=]\s*)(?=\S*\d)[^\s\"'()\[\]{},]{8,}\s*$"
)
_SHAPES: Final = re.compile(
    r"AKIA[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|dapi[0-9a-f]{32}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|(?i:bearer|basic)\s+[\w+/.~-]{16,}=*"
)


def redacted_address(address: str) -> str:
    """An address without its password, and without options that may be secret.

    An HTTP address loses the user's name too, a database keeps it: it needs one.
    """
    if "://" not in address:
        return MASK if "@" in address else address
    parts = urlsplit(address)
    at = parts.netloc.rsplit("@", 1)
    place = at[-1]
    if len(at) == 2 and not parts.scheme.startswith("http"):
        place = f"{at[0].split(':', 1)[0]}@{place}"
    options = [pair for pair in parse_qsl(parts.query) if pair[0] in _HARMLESS]
    # `urlunsplit` drops the empty place of `sqlite:////path`.
    bare = urlunsplit(("", "", parts.path, urlencode(options, safe="/"), ""))
    return f"{parts.scheme}://{place}{bare.removeprefix('//') if place else bare}"


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of environment variables with secret names, and passwords in addresses."""
    named = {value for name, value in environment.items() if _SECRET_NAME.search(name)}
    users = [user for value in environment.values() for user in _USER_INFO.findall(value)]
    passwords = {user.rstrip("@").partition(":")[2] for user in users}
    long = (value for value in named | passwords if len(value) >= _SHORTEST)
    return tuple(sorted(long, key=len, reverse=True))


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """A text without known secrets, and without parts that look like a secret."""
    for secret in known:
        text = text.replace(secret, MASK)
    text = _KEY_BLOCK.sub(MASK, text)
    text = _USER_INFO.sub(f"{MASK}@", text)
    text = _SHAPES.sub(MASK, text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}\2", text)
    return _BARE.sub(rf"\1{MASK}", text)
