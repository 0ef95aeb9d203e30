"""The rules of the guard: hosts, origins, methods, and a token that leaves no trace."""

from http import HTTPStatus

import pytest
from starlette.requests import Request

from risexp.web.guard import (
    COOKIE,
    GuardResponse,
    RequestGuard,
    guard_at,
    host_of,
    is_loopback,
)

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
HERE = RequestGuard()
OPEN = RequestGuard(writable=True)
LOCKED = guard_at("0.0.0.0", (), TOKEN, writable=False)  # noqa: S104 - no server listens


def guarded(
    method: str = "GET", path: str = "/api/studies", query: str = "", **headers: str
) -> Request:
    """A request that HERE lets in; a header `x_name` is sent as `x-name`."""
    fields = {"host": "127.0.0.1:8080", **headers}.items()
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields]
    parts = {"method": method, "path": path, "query_string": query.encode(), "headers": raw}
    return Request({"type": "http", **parts})


def status(answer: GuardResponse | None) -> int:
    """Status of the response; 200 if the request comes in."""
    return 200 if answer is None else answer.status.value


@pytest.mark.fault("F21")
def test_hosts_of_this_machine_come_in_through_any_port_and_no_other_does() -> None:
    for host in ("127.0.0.1:8080", "localhost", "LOCALHOST:9000", "[::1]:8080"):
        assert HERE.stops(guarded(host=host)) is None

    for host in (
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080"),
        *("evil.example@127.0.0.1:8080", "127.0.0.1:8080, evil.example", "127.0.0.1:8080:1"),
        *("127.0.0.1:x", "192.0.2.1:8080", "localhost\\evil.example", "[evil]:8080", ""),
    ):
        assert HTTPStatus.MISDIRECTED_REQUEST == status(HERE.stops(guarded(host=host)))
        assert HTTPStatus.MISDIRECTED_REQUEST == status(OPEN.stops(guarded("DELETE", host=host)))


def test_the_hosts_that_are_named_or_listened_at_come_in() -> None:
    for host, browser in (("127.0.0.2", "127.0.0.2:8080"), ("0:0::1", "[0:0::1]:8080")):
        guard = guard_at(host, ("Desk.example",), "", writable=False)

        assert guard.stops(guarded(host=browser)) is None
        assert guard.stops(guarded(host="desk.example:8080")) is None
        assert guard.stops(guarded(host="other.example:8080")) is not None
    assert ["desk", "[::1]", "localhost"] == [
        *map(host_of, (guarded(host=host) for host in ("desk:8080", "[::1]:5000", "a b")))
    ]


def test_off_loopback_any_address_is_known_and_no_other_name() -> None:
    for host in ("192.0.2.1:8080", "[2001:db8::1]:8080", "localhost:8080"):
        assert LOCKED.stops(guarded(host=host, authorization=f"Bearer {TOKEN}")) is None

    foreign = guarded(host="evil.example", authorization=f"Bearer {TOKEN}")
    assert HTTPStatus.MISDIRECTED_REQUEST == status(LOCKED.stops(foreign))


@pytest.mark.fault("F21")
def test_writes_need_a_writable_guard_and_other_methods_are_never_allowed() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = HERE.stops(guarded(method))

        assert answer is not None
        assert (HTTPStatus.FORBIDDEN, True) == (answer.status, "--writable" in answer.sentence)
        assert OPEN.stops(guarded(method)) is None
    for method in ("OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"):
        assert HTTPStatus.METHOD_NOT_ALLOWED == status(OPEN.stops(guarded(method)))


@pytest.mark.fault("F21")
def test_a_page_of_another_origin_changes_nothing_and_the_page_itself_may() -> None:
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8080",
        "",
        "file://",
    ):
        for method in ("POST", "DELETE"):
            assert HTTPStatus.FORBIDDEN == status(OPEN.stops(guarded(method, origin=origin)))
    for scheme in ("http", "https"):
        assert OPEN.stops(guarded("DELETE", origin=f"{scheme}://127.0.0.1:8080")) is None


@pytest.mark.fault("F21")
def test_a_request_without_the_token_sees_nothing() -> None:
    for parts in (
        {},
        {"authorization": "Bearer 0123456789abcdef-a-toke"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"query": "token="},
        {"query": f"token={TOKEN}&token=other"},
        {"query": "token=%ff"},
        {"cookie": f"{COOKIE}={TOKEN}"},
        {"cookie": f"{COOKIE}="},
        {"cookie": "risexp_ui"},
    ):
        answer = LOCKED.stops(guarded(**parts))

        assert answer is not None
        assert HTTPStatus.UNAUTHORIZED == answer.status
        assert TOKEN not in answer.sentence
    assert TOKEN not in repr(LOCKED)
    write = guard_at("0.0.0.0", (), TOKEN, writable=True)  # noqa: S104 - no server listens
    assert 401 == status(write.stops(guarded("DELETE", query=f"token={TOKEN}")))
    assert 401 == status(guard_at("127.0.0.1", (), TOKEN, writable=False).stops(guarded()))


def test_a_token_in_an_address_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = LOCKED.stops(guarded(path="/dashboard", query=f"a=1&token={TOKEN}&numbers=7"))

    assert answer is not None
    headers = dict(answer.headers)
    assert (HTTPStatus.SEE_OTHER, "/dashboard?a=1&numbers=7") == (
        answer.status,
        headers["Location"],
    )
    assert "HttpOnly; SameSite=Lax" in headers["Set-Cookie"]
    assert TOKEN not in headers["Set-Cookie"]
    assert LOCKED.stops(guarded(cookie=headers["Set-Cookie"].split(";")[0])) is None
    encrypted = LOCKED.stops(guarded(query=f"token={TOKEN}", x_forwarded_proto="https"))
    assert encrypted is not None
    assert "Secure" not in headers["Set-Cookie"]
    assert dict(encrypted.headers)["Set-Cookie"].endswith("; SameSite=Lax; Secure")


@pytest.mark.fault("F21")
def test_the_redirect_that_removes_a_token_leads_nowhere_else() -> None:
    for path in ("//evil.example/x", "/\\evil.example/x", "/a\r\nSet-Cookie: b=c"):
        answer = LOCKED.stops(guarded(path=path, query=f"token={TOKEN}"))

        assert answer is not None
        location = dict(answer.headers)["Location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert "\n" not in location


def test_loopback_is_recognised() -> None:
    for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.0.2.1", "desk.example"):  # noqa: S104 - no server listens
        assert not is_loopback(host)
