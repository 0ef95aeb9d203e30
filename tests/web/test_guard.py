"""Who comes in, who is told why not, and that a token leaves no trace in an address."""

from http import HTTPStatus

import pytest

from risexp.web.guard import (
    COOKIE,
    GuardedRequest,
    GuardResponse,
    RequestGuard,
    door_at,
    host_of,
    is_loopback,
)

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
HERE = RequestGuard()
OPEN = RequestGuard(writable=True)
LOCKED = door_at("0.0.0.0", (), TOKEN, writable=False)  # noqa: S104 - nobody listens


def asked(method: str = "GET", host: str = "127.0.0.1:8080", **more: str) -> GuardedRequest:
    """A request that HERE lets in."""
    return GuardedRequest(method, more.pop("path", "/api/studies"), host=host, **more)


def status(answer: GuardResponse | None) -> int:
    """What is answered; 200 where the request comes in."""
    return 200 if answer is None else answer.status.value


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:9000", "[::1]:8080"])
def test_this_machine_comes_in_through_any_port(host: str) -> None:
    assert HERE.stops(asked(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8080",
        "evil.example@127.0.0.1:8080",
        "127.0.0.1:8080, evil.example",
        "127.0.0.1:8080:1",
        "127.0.0.1:x",
        "192.0.2.1:8080",
        "localhost\\evil.example",
        "[evil]:8080",
        "",
    ],
)
def test_a_name_that_was_pointed_here_does_not(host: str) -> None:
    assert HTTPStatus.MISDIRECTED_REQUEST == status(HERE.stops(asked(host=host)))
    assert HTTPStatus.MISDIRECTED_REQUEST == status(OPEN.stops(asked("DELETE", host=host)))


def test_more_names_lead_here_where_they_are_named() -> None:
    door = door_at("127.0.0.1", ("Desk.example",), "", writable=False)

    assert door.stops(asked(host="desk.example:8080")) is None
    assert door.stops(asked(host="other.example:8080")) is not None


@pytest.mark.parametrize(
    ("host", "browser"), [("127.0.0.2", "127.0.0.2:8080"), ("0:0::1", "[0:0::1]:8080")]
)
def test_the_address_of_loopback_that_was_asked_for_leads_here(host: str, browser: str) -> None:
    assert door_at(host, (), "", writable=False).stops(asked(host=browser)) is None


@pytest.mark.parametrize("host", ["192.0.2.1:8080", "[2001:db8::1]:8080", "localhost:8080"])
def test_off_loopback_any_address_is_a_name_and_no_other_name_is(host: str) -> None:
    known = asked(host=host, authorization=f"Bearer {TOKEN}")
    foreign = asked(host="evil.example", authorization=f"Bearer {TOKEN}")

    assert LOCKED.stops(known) is None
    assert HTTPStatus.MISDIRECTED_REQUEST == status(LOCKED.stops(foreign))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_changes_where_pages_are_only_looked_at(method: str) -> None:
    answer = HERE.stops(asked(method))

    assert answer is not None
    assert (HTTPStatus.FORBIDDEN, True) == (answer.status, "--writable" in answer.sentence)
    assert OPEN.stops(asked(method)) is None


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"])
def test_other_methods_are_answered_by_nobody(method: str) -> None:
    assert HTTPStatus.METHOD_NOT_ALLOWED == status(OPEN.stops(asked(method)))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://localhost:8080",
        "",
        "file://",
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_page_of_another_origin_changes_nothing(method: str, origin: str) -> None:
    assert HTTPStatus.FORBIDDEN == status(OPEN.stops(asked(method, origin=origin)))


def test_the_page_itself_and_programs_do() -> None:
    assert OPEN.stops(asked("DELETE", origin="http://127.0.0.1:8080")) is None
    assert OPEN.stops(asked("DELETE", origin="https://127.0.0.1:8080")) is None
    assert OPEN.stops(asked("DELETE")) is None


@pytest.mark.parametrize(
    "given",
    [
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
    ],
)
def test_whoever_has_no_token_sees_nothing(given: dict[str, str]) -> None:
    answer = LOCKED.stops(asked(**given))

    assert answer is not None
    assert HTTPStatus.UNAUTHORIZED == answer.status
    assert TOKEN not in answer.sentence


def test_a_token_in_an_address_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = LOCKED.stops(asked(path="/dashboard", query=f"a=1&token={TOKEN}&numbers=7"))

    assert answer is not None
    told = dict(answer.headers)
    assert (HTTPStatus.SEE_OTHER, "/dashboard?a=1&numbers=7") == (answer.status, told["Location"])
    assert "HttpOnly; SameSite=Lax" in told["Set-Cookie"]
    assert TOKEN not in told["Set-Cookie"]
    assert LOCKED.stops(asked(cookie=told["Set-Cookie"].split(";")[0])) is None


def test_a_cookie_that_came_over_tls_stays_there() -> None:
    plain, encrypted = (
        LOCKED.stops(asked(query=f"token={TOKEN}", scheme=scheme)) for scheme in ("http", "https")
    )

    assert plain is not None
    assert encrypted is not None
    assert "Secure" not in dict(plain.headers)["Set-Cookie"]
    assert dict(encrypted.headers)["Set-Cookie"].endswith("; SameSite=Lax; Secure")


def test_a_token_that_was_given_is_needed_on_loopback_too() -> None:
    door = door_at("127.0.0.1", (), TOKEN, writable=False)

    assert HTTPStatus.UNAUTHORIZED == status(door.stops(asked()))


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example/x", "/a\r\nSet-Cookie: b=c"])
def test_a_token_leads_nowhere_else(path: str) -> None:
    answer = LOCKED.stops(asked(path=path, query=f"token={TOKEN}"))

    assert answer is not None
    place = dict(answer.headers)["Location"]
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))
    assert "\n" not in place


def test_a_token_in_an_address_changes_nothing() -> None:
    door = door_at("0.0.0.0", (), TOKEN, writable=True)  # noqa: S104 - nobody listens

    answer = door.stops(asked("DELETE", query=f"token={TOKEN}"))

    assert HTTPStatus.UNAUTHORIZED == status(answer)


def test_a_token_is_in_no_representation() -> None:
    assert TOKEN not in repr(LOCKED)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - nobody listens
        ("::", False),
        ("192.0.2.1", False),
        ("desk.example", False),
    ],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert expected == is_loopback(host)


def test_a_host_is_told_without_its_port() -> None:
    assert ["desk", "[::1]", "localhost"] == [
        host_of(each) for each in ("desk:8080", "[::1]:5000", "a b")
    ]
