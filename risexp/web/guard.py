"""Who may come in to pages that a person serves: by Host, by Origin, by token, by method.

A browser is the danger: any page it shows can send requests to this machine. A page under a name
that was pointed here (DNS rebinding) is known by its Host, one that writes across by its Origin.
"""

import hashlib
import hmac
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

COOKIE: Final = "risexp_ui"
"""What a browser that was given the token once comes in with afterwards."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""What every answer tells a browser: no frames, no guessing of types, no address passed on."""
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@,\[\]\\]+)(?::[0-9]{1,5})?")
_READS: Final = frozenset({"GET", "HEAD"})
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class GuardedRequest:
    """What of a request decides whether it comes in."""

    method: str
    path: str
    query: str = ""
    host: str = ""
    origin: str | None = None
    authorization: str = ""
    cookie: str = ""
    scheme: str = "http"
    """By which it came to a proxy in front."""


@dataclass(frozen=True)
class GuardResponse:
    """What is said to one who does not come in, or who is sent elsewhere."""

    status: HTTPStatus
    sentence: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RequestGuard:
    """Lets in whom it knows."""

    names: tuple[str, ...] = LOOPBACK
    """Host names that lead here, as a browser writes them, without ports."""
    addresses: bool = False
    """Whether any IP address is a name too: what is pointed elsewhere is a name."""
    token: str = field(default="", repr=False)
    """What everybody has to have; empty: nobody needs one."""
    writable: bool = False

    def stops(self, asked: GuardedRequest) -> GuardResponse | None:
        """What is answered in place of the page; None where the request comes in."""
        return (
            self._foreign_host(asked)
            or self._unknown(asked)
            or self._across(asked)
            or self._change(asked)
        )

    def _foreign_host(self, asked: GuardedRequest) -> GuardResponse | None:
        found = _HOST.fullmatch(asked.host)
        if found is not None and self._leads_here(found[1].lower()):
            return None
        return GuardResponse(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this Host is not served here: open the address that was printed, or name "
            "the host with --allow-host",
        )

    def _leads_here(self, name: str) -> bool:
        if name in self.names:
            return True
        try:
            return self.addresses and bool(ip_address(name.strip("[]")))
        except ValueError:
            return False

    def _unknown(self, asked: GuardedRequest) -> GuardResponse | None:
        """Ask for the token, or take it out of the address and let the browser keep it."""
        if not self.token:
            return None
        fields = parse_qsl(asked.query, keep_blank_values=True)
        given = [value for name, value in fields if name == "token"]
        if asked.method in _READS and len(given) == 1 and _same(given[0], self.token):
            rest = urlencode([each for each in fields if each[0] != "token"])
            return _moved(asked, rest, self._key())
        scheme, _, credentials = asked.authorization.partition(" ")
        if scheme.lower() == "bearer" and _same(credentials.strip(), self.token):
            return None
        if _same(_cookie(asked.cookie), self._key()):
            return None
        return GuardResponse(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed here: open the address with ?token=... that was printed, "
            "or send it as Authorization: Bearer",
            (("WWW-Authenticate", "Bearer"),),
        )

    def _key(self) -> str:
        """The token as a cookie holds it: whoever reads that does not have the token."""
        return hmac.new(self.token.encode(), b"risexp ui", hashlib.sha256).hexdigest()

    def _across(self, asked: GuardedRequest) -> GuardResponse | None:
        """A browser names the page that a change comes from; programs name none."""
        here = (f"http://{asked.host}".lower(), f"https://{asked.host}".lower())
        if asked.method in _READS or asked.origin is None or asked.origin.lower() in here:
            return None
        return GuardResponse(
            HTTPStatus.FORBIDDEN, "a page of another origin may change nothing here"
        )

    def _change(self, asked: GuardedRequest) -> GuardResponse | None:
        if asked.method in _READS or (self.writable and asked.method in _WRITES):
            return None
        if asked.method in _WRITES:
            return GuardResponse(
                HTTPStatus.FORBIDDEN,
                "studies are only looked at here: start risexp ui with --writable to change them",
            )
        return GuardResponse(
            HTTPStatus.METHOD_NOT_ALLOWED, "nothing here answers that", (("Allow", "GET, HEAD"),)
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def door_at(host: str, names: Sequence[str], token: str, *, writable: bool) -> RequestGuard:
    """The door of what listens at a host.

    Args:
        host: Loopback, or an address or name of this machine, or that of all of them.
        names: More that lead here.
        token: Needed off loopback.
        writable: Whether it may be changed.
    """
    known = (*LOOPBACK, written(host).lower(), *(name.lower() for name in names))
    if is_loopback(host):
        return RequestGuard(known, token=token, writable=writable)
    own = socket.gethostname().lower()
    return RequestGuard((*known, own), addresses=True, token=token, writable=writable)


def written(host: str) -> str:
    """A host as an address has it: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def host_of(asked: str) -> str:
    """A Host header without its port."""
    found = _HOST.fullmatch(asked)
    return LOOPBACK[0] if found is None else found[1]


def _moved(asked: GuardedRequest, query: str, key: str) -> GuardResponse:
    # Two slashes in front would lead to another host.
    place = quote("/" + asked.path.lstrip("/\\")) + (f"?{query}" if query else "")
    cookie = f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax"
    cookie += "; Secure" if asked.scheme == "https" else ""
    moved = (("Location", place), ("Set-Cookie", cookie), ("Cache-Control", "no-store"))
    return GuardResponse(HTTPStatus.SEE_OTHER, headers=moved)


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that tells nothing of how much was right."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
