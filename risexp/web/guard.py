"""The guard of web pages: rules on the Host, the Origin, the token and the method of a request.

The danger is the browser: any page that it shows can send requests to this machine. A page under a
name that was pointed here (DNS rebinding) is known by its Host, a write from another page by its
Origin.
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

from starlette.requests import Request

COOKIE: Final = "risexp_ui"
"""Cookie of a browser that has sent the token once."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Headers of every response: no frames, no guessed types, no address passed on."""
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@,\[\]\\]+)(?::[0-9]{1,5})?")
_READS: Final = frozenset({"GET", "HEAD"})
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class GuardResponse:
    """A response of the guard itself: a refusal or a redirect."""

    status: HTTPStatus
    sentence: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RequestGuard:
    """Lets in a request with a known host, the token, its own origin, and an allowed method."""

    names: tuple[str, ...] = LOOPBACK
    """Host names of this server, as a browser writes them, without ports."""
    addresses: bool = False
    """True if any IP address is allowed as host: only a name can be pointed here."""
    token: str = field(default="", repr=False)
    """Needed by every request; empty: no token is needed."""
    writable: bool = False

    def stops(self, request: Request) -> GuardResponse | None:
        """The response in place of the page; None if the request comes in."""
        return (
            self._check_host(request)
            or self._check_token(request)
            or self._check_origin(request)
            or self._check_method(request)
        )

    def _check_host(self, request: Request) -> GuardResponse | None:
        host = _HOST.fullmatch(header(request, "host"))
        if host is not None and self._is_known(host[1].lower()):
            return None
        return GuardResponse(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this Host is not served here: open the address that was printed, or name "
            "the host with --allow-host",
        )

    def _is_known(self, name: str) -> bool:
        if name in self.names:
            return True
        try:
            return self.addresses and bool(ip_address(name.strip("[]")))
        except ValueError:
            return False

    def _check_token(self, request: Request) -> GuardResponse | None:
        """Require the token; one in the address is moved into a cookie."""
        if not self.token:
            return None
        fields = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in fields if name == "token"]
        if request.method in _READS and len(tokens) == 1 and _same(tokens[0], self.token):
            rest = urlencode([pair for pair in fields if pair[0] != "token"])
            return _moved(request, rest, self._key())
        scheme, _, credentials = header(request, "authorization").partition(" ")
        if scheme.lower() == "bearer" and _same(credentials.strip(), self.token):
            return None
        if _same(_cookie(header(request, "cookie", "; ")), self._key()):
            return None
        return GuardResponse(
            HTTPStatus.UNAUTHORIZED,
            "a token is needed here: open the address with ?token=... that was printed, "
            "or send it as Authorization: Bearer",
            (("WWW-Authenticate", "Bearer"),),
        )

    def _key(self) -> str:
        """The value of the cookie, from which the token cannot be computed."""
        return hmac.new(self.token.encode(), b"risexp ui", hashlib.sha256).hexdigest()

    def _check_origin(self, request: Request) -> GuardResponse | None:
        """Refuse a write from another page: a browser sends its Origin, a program sends none."""
        here = [f"{scheme}://{header(request, 'host')}".lower() for scheme in ("http", "https")]
        own = "origin" not in request.headers or header(request, "origin").lower() in here
        if request.method in _READS or own:
            return None
        return GuardResponse(
            HTTPStatus.FORBIDDEN, "a page of another origin may change nothing here"
        )

    def _check_method(self, request: Request) -> GuardResponse | None:
        if request.method in _READS or (self.writable and request.method in _WRITES):
            return None
        if request.method in _WRITES:
            return GuardResponse(
                HTTPStatus.FORBIDDEN,
                "studies are only looked at here: start risexp ui with --writable to change them",
            )
        return GuardResponse(
            HTTPStatus.METHOD_NOT_ALLOWED, "nothing here answers that", (("Allow", "GET, HEAD"),)
        )


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a server at this host."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def guard_at(host: str, names: Sequence[str], token: str, *, writable: bool) -> RequestGuard:
    """The guard of a server that listens at a host; `names` are more host names of it."""
    known = (*LOOPBACK, bracketed(host).lower(), *(name.lower() for name in names))
    if is_loopback(host):
        return RequestGuard(known, token=token, writable=writable)
    own = socket.gethostname().lower()
    return RequestGuard((*known, own), addresses=True, token=token, writable=writable)


def bracketed(host: str) -> str:
    """A host as it stands in a web address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def header(request: Request, name: str, between: str = ", ") -> str:
    """A header of a request; one that comes twice is joined."""
    return between.join(request.headers.getlist(name))


def host_of(request: Request) -> str:
    """The Host of a request without its port."""
    host = _HOST.fullmatch(header(request, "host"))
    return LOOPBACK[0] if host is None else host[1]


def _moved(request: Request, query: str, key: str) -> GuardResponse:
    # Two slashes in front would lead to another host.
    place = quote("/" + request.scope["path"].lstrip("/\\")) + (f"?{query}" if query else "")
    cookie = f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax"
    cookie += "; Secure" if header(request, "x-forwarded-proto") == "https" else ""
    moved = (("Location", place), ("Set-Cookie", cookie), ("Cache-Control", "no-store"))
    return GuardResponse(HTTPStatus.SEE_OTHER, headers=moved)


def _same(value: str, expected: str) -> bool:
    """Compare in a time that does not depend on how much is right."""
    return hmac.compare_digest(value.encode(), expected.encode())


def _cookie(text: str) -> str:
    try:
        cookie = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value
